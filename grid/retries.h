// Entities with a turn to be tried again, by when. Each stands here once, and cannot go while it
// does (it counts as lent). Owned by the shard; as many as messages are on their way at most.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace bettong::grid {

class Retries {
 public:
  void Add(TimeMs at_ms, EntryId id) {
    heap_.push_back({at_ms, order_++, id});
    std::push_heap(heap_.begin(), heap_.end());
  }
  TimeMs NextDue() const { return heap_.empty() ? kNeverExpires : heap_.front().at_ms; }
  // The one that is due first. There is one.
  EntryId Take() {
    std::pop_heap(heap_.begin(), heap_.end());
    const EntryId id = heap_.back().id;
    heap_.pop_back();
    return id;
  }
  size_t size() const { return heap_.size(); }
  // All of them, in no order.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const Retry& retry : heap_) visit(retry.id);
  }

 private:
  struct Retry {
    TimeMs at_ms;
    uint64_t order;  // of those due at one time: first come, first served
    EntryId id;
    // The heap has the greatest at its top.
    bool operator<(const Retry& other) const {
      return std::pair(at_ms, order) > std::pair(other.at_ms, other.order);
    }
  };

  std::vector<Retry> heap_;
  uint64_t order_ = 0;
};

}  // namespace bettong::grid
