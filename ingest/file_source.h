// Bounded input, for `bettong run`: the events of a file or of standard input. It reads to the end,
// as fast as their consequences get done, and says so when all of them are.
//
// Lives on shard 0's thread (a BlockReader reads ahead on its own). Built and opened before the
// shards run, destroyed after they have stopped and before they are destroyed.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "grid/runtime/shard_loop.h"
#include "ingest/admission_notice.h"
#include "ingest/block_reader.h"
#include "ingest/config.h"
#include "ingest/frame_reader.h"
#include "ingest/gate.h"
#include "ingest/input_channel.h"
#include "ingest/line_reader.h"
#include "ingest/shard_door.h"

namespace bettong::ingest {

class FileSource final : public grid::SourceControl {
 public:
  // `door`: shard 0's.
  FileSource(FileSourceConfig config, StreamId stream, ShardDoor door, LogLine log);
  ~FileSource();

  absl::Status Open();
  // From any thread; `done` is called on the shard's thread, once, when the input has ended and all
  // consequences of its events are done. The status says whether reading went well.
  void Start(std::function<void(absl::Status)> done);
  // Reads no further; `done` is called as at the end. From any thread.
  void Stop();

  // For a progress bar, from any thread. Total 0: unknown (a pipe).
  uint64_t bytes_total() const { return bytes_total_; }
  uint64_t bytes_done() const { return counters_.bytes.load(std::memory_order_relaxed); }
  const SourceCounters& counters() const { return counters_; }

  void OnCredit() override;

 private:
  class BlockMail;

  void OnBlock(InputBlock* block);
  // Goes on as far as credits allow.
  void Pump();
  void HandleBlock(InputBlock& block);
  void HandleFrames();
  void PumpLater();

  const FileSourceConfig config_;
  const ShardDoor door_;
  AdmissionNotice admission_;
  uint64_t bytes_total_ = 0;
  SourceCounters counters_;
  std::unique_ptr<BlockReader> reader_;
  std::function<void(absl::Status)> done_;

  // Shard 0's thread.
  InputChannel channel_;
  FrameReader frames_;
  const std::unique_ptr<LineReader> lines_;  // null: JSON
  std::deque<InputBlock*> blocks_;           // read, not handled yet
  bool ended_ = false;                       // the last block is handled
  bool pump_deferred_ = false;
  int64_t pump_at_ = -1;  // outstanding events at which to go on; -1: not waiting
  absl::Status status_;
  AdmissionHold hold_{admission_};
  boost::asio::steady_timer admission_timer_;
};

}  // namespace bettong::ingest
