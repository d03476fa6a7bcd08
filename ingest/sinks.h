// The node's sinks: carries the outputs of streams to standard output, files, TCP receivers and
// Kafka, each sink on a thread of its own. Shards write; the origin's home shard gets a credit back
// from each sink of the stream that has the output.
//
// Life: Open and Start before the shards run, Drain, Stop after the shards have stopped and before
// they are destroyed.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/published_counter.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/config.h"
#include "ingest/file_output.h"
#include "ingest/file_sink.h"
#include "ingest/sink_runner.h"
#include "ingest/stream_sink_queue.h"

namespace bettong::ingest {

struct SinkSample {
  std::string name;
  uint64_t bytes_pending = 0;
  uint64_t bytes_written = 0;
};

// How a file sink is run; on a thread of its own by default.
using FileSinkMaker = std::function<std::unique_ptr<SinkRunner>(
    const std::string& name, std::unique_ptr<FileOutput> output, FileSink::Written written)>;

// The same of a bettong-stream sink. `stored`: the receiver has all of the chunk.
using StreamSinkMaker = std::function<std::unique_ptr<SinkRunner>(
    const SinkConfig& config, StreamSinkOptions options, std::function<void(SinkChunk*)> stored)>;

// The same of a Kafka sink. `state`: what the log has of it, as it gave it before; empty: nothing.
// `written`: the topic has all of the chunks, and the log is to have the state.
using KafkaSinkMaker =
    std::function<std::unique_ptr<SinkRunner>(const SinkConfig& config, StreamSinkOptions options,
                                              std::string state, FileSink::Written written)>;

struct SinksOptions {
  // With a log, which has been recovered, files get every output exactly once; null: without.
  FileSystem* files = nullptr;
  FileSinkMaker make_file_sink;
  StreamSinkMaker make_stream_sink;
  KafkaSinkMaker make_kafka_sink;  // null: there is no Kafka here
  std::string node_id;             // kStreamNodeIdBytes, for receivers
};

class Sinks : public grid::SinkSet {
 public:
  // Refuses unknown streams, files that cannot be opened, addresses that make no sense.
  static absl::StatusOr<std::unique_ptr<Sinks>> Open(std::vector<SinkConfig> configs,
                                                     std::vector<grid::ShardLoop*> shards,
                                                     const SinksOptions& options, LogLine log);
  // The same of the places they write to, without opening any: what `bettong check` can tell.
  static absl::Status Check(const std::vector<SinkConfig>& configs);
  ~Sinks() override;

  void Start();
  // Waits until everything given so far is written; false at the deadline, and the log says what is
  // left of which sink.
  bool Drain(std::chrono::steady_clock::time_point deadline);
  void Stop();
  // A sink will never write again (standard output's reader is gone).
  bool broken() const;

  // Of each sink, in the order of the configuration. From any thread.
  std::vector<SinkSample> Sample() const;

  // Streams that a reload has brought have none.
  size_t SinksOf(StreamId stream) const override {
    return stream.value() < runners_of_.size() ? runners_of_[stream.value()].size() : 0;
  }
  void Write(ShardId from, std::span<const grid::SinkItem> items) override;
  size_t BytesPending(ShardId from) const override {
    return pending_[from.value()].bytes.load(std::memory_order_relaxed);
  }

 private:
  struct alignas(64) Pending {
    std::atomic<size_t> bytes{0};
  };
  // What a sink has been given and has written; the latter counts the sink's thread.
  struct alignas(64) Load {
    void Wrote(size_t bytes) {
      bytes_pending.fetch_sub(bytes, std::memory_order_relaxed);
      bytes_written.Add(bytes);
    }
    std::atomic<size_t> bytes_pending{0};
    PublishedCounter bytes_written;
  };
  struct Taker {
    SinkRunner* runner;
    Load* load;
  };
  class CreditMail;
  // A file of which the log knows nothing yet: nothing is written before it does.
  class Newcomer;

  Sinks(std::vector<grid::ShardLoop*> shards, LogLine log);
  absl::StatusOr<std::unique_ptr<SinkRunner>> MakeRunner(const SinkConfig& config,
                                                         const SinksOptions& options, Load& load);
  absl::StatusOr<std::unique_ptr<SinkRunner>> MakeFileSink(const SinkConfig& config,
                                                           const SinksOptions& options, Load& load);
  std::unique_ptr<SinkRunner> MakeStreamSink(const SinkConfig& config, const SinksOptions& options,
                                             Load& load);
  absl::StatusOr<std::unique_ptr<SinkRunner>> MakeKafkaSink(const SinkConfig& config,
                                                            const SinksOptions& options,
                                                            Load& load);
  // What a sink has to know that keeps what is not stored yet.
  StreamSinkOptions KeptOptions(const SinksOptions& options) const;
  // A sink has the chunk.
  void OnWritten(SinkChunk* chunk);
  // A sink has the chunks, and a state, which is logged before anybody hears of it.
  void OnWrittenWithState(const std::string& endpoint, std::string state,
                          std::vector<SinkChunk*> chunks);
  void Drop(SinkChunk* chunk);
  grid::ShardLoop& HomeOf(std::string_view endpoint) const;

  const LogLine log_;
  std::vector<Pending> pending_;  // by shard
  const std::vector<grid::ShardLoop*> shards_;
  std::vector<std::unique_ptr<SinkRunner>> runners_;
  std::vector<std::string> names_;            // as runners_
  std::vector<std::unique_ptr<Load>> loads_;  // likewise
  std::vector<std::unique_ptr<Newcomer>> newcomers_;
  std::vector<std::vector<Taker>> runners_of_;  // by stream
};

}  // namespace bettong::ingest
