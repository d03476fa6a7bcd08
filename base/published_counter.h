// A number that one thread changes and any thread may read, at no cost to the one: a plain load and
// store, no locked instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace bettong {

class PublishedCounter {
 public:
  void Add(uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace bettong
