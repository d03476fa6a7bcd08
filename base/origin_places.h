// Where the events of a source's channel lie outside of the node (which partition of which topic),
// for who looks for what could not be carried out. One of these a node. Thread-safe.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <mutex>
#include <string>

namespace bettong {

class OriginPlaces {
 public:
  // `members`: of a JSON object, "\"topic\":\"metrics\",\"partition\":3". The channel's position p
  // is the offset p - 1.
  void Set(uint64_t channel, std::string members);
  // {"topic":"metrics","partition":3,"offset":17}; empty: nobody has said.
  std::string Find(uint64_t channel, uint64_t position) const;

 private:
  mutable std::mutex mutex_;
  absl::flat_hash_map<uint64_t, std::string> members_;  // by channel
};

}  // namespace bettong
