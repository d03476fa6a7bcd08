#include "base/origin_places.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace bettong {

void OriginPlaces::Set(uint64_t channel, std::string members) {
  const std::lock_guard lock(mutex_);
  members_.insert_or_assign(channel, std::move(members));
}

std::string OriginPlaces::Find(uint64_t channel, uint64_t position) const {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(channel);
  if (found == members_.end() || position == 0) return {};
  return absl::StrCat("{", found->second, ",\"offset\":", position - 1, "}");
}

}  // namespace bettong
