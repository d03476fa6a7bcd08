// Reads a file, a pipe or standard input ahead, in blocks, on a thread of its own: a shard never
// blocks on a disk or a terminal. A bounded pool: the reader waits when all blocks are taken.
//
// Start once; blocks come through `ready` on the reader's thread, in order, and go back by Release
// from any thread. The last one has `last` set.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace bettong::ingest {

inline constexpr size_t kBlockBytes = 64u << 10;
inline constexpr size_t kBlocksAhead = 4;

struct InputBlock {
  std::unique_ptr<char[]> bytes;
  size_t size = 0;
  bool last = false;    // nothing comes behind it
  absl::Status status;  // of the last: why reading ended, ok at the end of the input
};

class BlockReader {
 public:
  // Takes over the descriptor (0 stays open). `what` names it in errors.
  BlockReader(std::string what, int descriptor);
  ~BlockReader();
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  void Start(std::function<void(InputBlock*)> ready);
  // The oldest block that is not released yet is not used any more.
  void Release() { free_.release(); }
  // The next block is the last, and empty; from any thread.
  void Stop();

 private:
  void Run();
  void Fill(InputBlock& block);

  const std::string what_;
  const int descriptor_;
  int stop_event_ = -1;  // an eventfd: readable once Stop was called
  std::atomic<bool> stop_{false};
  InputBlock blocks_[kBlocksAhead];
  InputBlock end_;  // what Stop leads to: the others may be in use
  std::counting_semaphore<kBlocksAhead + 1> free_{kBlocksAhead};
  std::function<void(InputBlock*)> ready_;
  std::thread thread_;
};

}  // namespace bettong::ingest
