// Which partitions of a node have a whole round of the checkpoint in the epoch at hand. When all
// have, nothing of the epochs before is needed, in whatever log it lies. Thread-safe.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace bettong::wal {

class Rounds {
 public:
  // `all_whole` runs once, on the thread that completes the last one.
  Rounds(size_t partitions, std::function<void()> all_whole)
      : whole_(partitions), missing_(partitions), all_whole_(std::move(all_whole)) {}

  void Complete(PartitionId partition) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(whole_[partition.value()], uint8_t{1}) != 0 || --missing_ > 0) return;
    }
    if (all_whole_) all_whole_();
  }
  bool all_whole() const {
    const std::lock_guard lock(mutex_);
    return missing_ == 0;
  }

 private:
  mutable std::mutex mutex_;  // control plane: once a round
  std::vector<uint8_t> whole_;
  size_t missing_;
  std::function<void()> all_whole_;
};

}  // namespace bettong::wal
