#include "compute/turn_counters.h"

#include <utility>

namespace bettong::compute {

MethodCounters& TurnCounters::Of(std::string_view entity_class, std::string_view method) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<MethodCounters>& counters =
      methods_[std::pair(std::string(entity_class), std::string(method))];
  if (counters == nullptr) {
    counters = std::make_unique<MethodCounters>();
    counters->entity_class = entity_class;
    counters->method = method;
  }
  return *counters;
}

std::vector<const MethodCounters*> TurnCounters::All() const {
  std::lock_guard lock(mutex_);
  std::vector<const MethodCounters*> all;
  for (const auto& [name, counters] : methods_) all.push_back(counters.get());
  return all;
}

}  // namespace bettong::compute
