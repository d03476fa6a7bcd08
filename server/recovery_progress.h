// Shows on a terminal how far recovery is, and says at its end what it brought back.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "grid/shard.h"
#include "wal/history.h"

namespace bettong::server {

class RecoveryProgress {
 public:
  RecoveryProgress();

  void Show(const wal::HistoryProgress& at);
  void Clear();
  // On the node's log.
  void Report(std::span<grid::Shard* const> shards, uint64_t log_bytes) const;

 private:
  using Clock = std::chrono::steady_clock;

  const bool on_terminal_;
  const Clock::time_point begin_;
  Clock::time_point shown_;
  bool visible_ = false;
};

}  // namespace bettong::server
