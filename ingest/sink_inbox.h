// Chunks on their way from shards' threads to a sink's own, and how many of those given to it are
// not stored yet. Thread-safe: one lock a chunk, and a chunk is a batch.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "ingest/sink_chunk.h"

namespace bettong::ingest {

class SinkInbox {
 public:
  // True: the sink's thread is to be told; it has not been, since it took the last ones.
  bool Add(SinkChunk* chunk) {
    const std::lock_guard lock(mutex_);
    chunks_.push_back(chunk);
    ++unstored_;
    return !std::exchange(told_, true);
  }
  std::vector<SinkChunk*> Take() {
    const std::lock_guard lock(mutex_);
    told_ = false;
    return std::exchange(chunks_, {});
  }
  void NoteStored(size_t chunks) {
    if (chunks == 0) return;
    const std::lock_guard lock(mutex_);
    unstored_ -= chunks;
    if (unstored_ == 0) drained_.notify_all();
  }
  // Nothing will be stored any more.
  void GiveUp() {
    const std::lock_guard lock(mutex_);
    hopeless_ = true;
    drained_.notify_all();
  }
  // Whether everything is stored, at the latest by the deadline.
  bool WaitUntilStored(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    drained_.wait_until(lock, deadline, [this] { return unstored_ == 0 || hopeless_; });
    return unstored_ == 0;
  }
  bool hopeless() const {
    const std::lock_guard lock(mutex_);
    return hopeless_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable drained_;
  std::vector<SinkChunk*> chunks_;
  size_t unstored_ = 0;
  bool told_ = false;
  bool hopeless_ = false;
};

}  // namespace bettong::ingest
