// Entities with a turn to be tried again, by when. Each stands here once, and cannot go while it
// does (it counts as lent). Owned by the shard; as many as messages are on their way at most.
#pragma once

#include <queue>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace bettong::grid {

class Retries {
 public:
  void Add(TimeMs at_ms, EntryId id) { queue_.push({at_ms, order_++, id}); }
  TimeMs NextDue() const { return queue_.empty() ? kNeverExpires : queue_.top().at_ms; }
  // The one that is due first. There is one.
  EntryId Take() {
    const EntryId id = queue_.top().id;
    queue_.pop();
    return id;
  }
  size_t size() const { return queue_.size(); }

 private:
  struct Retry {
    TimeMs at_ms;
    uint64_t order;  // of those due at one time: first come, first served
    EntryId id;
    // The queue has the greatest at its top.
    bool operator<(const Retry& other) const {
      return std::pair(at_ms, order) > std::pair(other.at_ms, other.order);
    }
  };

  std::priority_queue<Retry> queue_;
  uint64_t order_ = 0;
};

}  // namespace bettong::grid
