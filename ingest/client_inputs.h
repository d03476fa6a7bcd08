// The event time of what clients add (XADD) and computations emit on one shard: per stream one
// source partition, which leaves after a while without events, since nobody says when there are no
// more.
//
// Owned by a shard's gate, on that shard's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "grid/message.h"
#include "grid/runtime/shard_loop.h"

namespace bettong::ingest {

class ClientInputs {
 public:
  // `tell` passes a note on, `flush` sends it; the latter is called from the timer only. idle_ms 0:
  // inputs stay until LeaveAll.
  ClientInputs(grid::ShardLoop& shard, int64_t idle_ms,
               std::function<void(const grid::WatermarkNote&)> tell, std::function<void()> flush);

  // An event of the stream is being routed; the shards are told by Announce. Answers what its
  // source partition has seen.
  struct Seen {
    grid::SourceRef partition;
    TimeMs time_ms;
  };
  Seen See(StreamId stream, TimeMs time_ms);
  void Announce();
  void LeaveAll();

 private:
  struct Input {
    StreamId stream;
    grid::SourceRef partition;
    TimeMs seen_ms = kNoTime;
    TimeMs announced_ms = kNoTime;
    TimeMs active_wall_ms = 0;
    bool joined = false;
    bool touched = false;  // since the last Announce
  };

  // `seen_ms`: what it has seen, if there is no more of it.
  void Leave(Input& input, TimeMs seen_ms);
  void ArmTimer();
  void OnTimer();

  grid::ShardLoop& shard_;
  const int64_t idle_ms_;
  const std::function<void(const grid::WatermarkNote&)> tell_;
  const std::function<void()> flush_;
  std::vector<Input> inputs_;  // few: streams with event-clock handlers that clients feed
  bool touched_ = false;
  bool timer_armed_ = false;
  std::unique_ptr<grid::Executor::Timer> timer_;
};

}  // namespace bettong::ingest
