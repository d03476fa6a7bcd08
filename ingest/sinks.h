// The node's sinks: carries the outputs of streams to standard output, files and TCP receivers,
// each sink on a thread of its own. Shards write; the origin's home shard gets its credit back when
// every sink of the stream has the output.
//
// Life: Open, Start once the shards exist (before they run), Drain, Stop after the shards have
// stopped and before they are destroyed.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "grid/catalog.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/config.h"
#include "ingest/sink_worker.h"

namespace bettong::ingest {

struct SinkSample {
  std::string name;
  uint64_t bytes_pending = 0;
  uint64_t bytes_written = 0;
};

class Sinks : public grid::SinkSet {
 public:
  // Refuses unknown streams, files that cannot be opened, addresses that make no sense.
  static absl::StatusOr<std::unique_ptr<Sinks>> Open(std::vector<SinkConfig> configs,
                                                     const grid::Catalog& catalog,
                                                     size_t shard_count, LogLine log);
  // The same of the places they write to, without opening any: what `bettong check` can tell.
  static absl::Status Check(const std::vector<SinkConfig>& configs);
  ~Sinks() override;

  void Start(std::vector<grid::ShardLoop*> shards);
  // Waits until everything given so far is written; false at the deadline, and the log says what is
  // left of which sink.
  bool Drain(std::chrono::steady_clock::time_point deadline);
  void Stop();
  // A sink will never write again (standard output's reader is gone).
  bool broken() const;

  // Of each sink, in the order of the configuration. From any thread.
  std::vector<SinkSample> Sample() const;

  bool Takes(StreamId stream) const override { return !workers_of_[stream.value()].empty(); }
  void Write(ShardId from, std::span<const grid::SinkItem> items) override;
  size_t BytesPending(ShardId from) const override {
    return pending_[from.value()].bytes.load(std::memory_order_relaxed);
  }

 private:
  struct alignas(64) Pending {
    std::atomic<size_t> bytes{0};
  };
  class CreditMail;

  Sinks(size_t stream_count, size_t shard_count, LogLine log);
  void OnWritten(SinkChunk* chunk);

  const LogLine log_;
  std::vector<Pending> pending_;  // by shard
  std::vector<std::unique_ptr<SinkWorker>> workers_;
  std::vector<std::string> names_;                    // as workers_
  std::vector<std::vector<SinkWorker*>> workers_of_;  // by stream
  std::vector<grid::ShardLoop*> shards_;
};

}  // namespace bettong::ingest
