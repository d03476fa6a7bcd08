// The last pieces of work that took too long, for somebody to look at (SLOWLOG). Written by one
// thread, read and emptied by any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "base/ids.h"

namespace bettong {

inline constexpr size_t kSlowLogEntriesMax = 128;  // beyond them the oldest goes

struct SlowLogEntry {
  uint64_t id = 0;  // counts up from 0, and goes on after a reset
  TimeMs at_ms = 0;
  int64_t took_ms = 0;
  std::string what;  // "Host.sample"
  std::string on;    // the key; empty: none
};

class SlowLog {
 public:
  // `entry` without its id.
  void Add(SlowLogEntry entry) {
    std::lock_guard lock(mutex_);
    entry.id = next_id_++;
    entries_.push_front(std::move(entry));
    if (entries_.size() > kSlowLogEntriesMax) entries_.pop_back();
  }
  // The newest first, so many at most.
  std::vector<SlowLogEntry> Last(size_t count) const {
    std::lock_guard lock(mutex_);
    if (count > entries_.size()) count = entries_.size();
    return {entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(count)};
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
  }
  void Reset() {
    std::lock_guard lock(mutex_);
    entries_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::deque<SlowLogEntry> entries_;
  uint64_t next_id_ = 0;
};

}  // namespace bettong
