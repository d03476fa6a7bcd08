// [sink.NAME] kind = "bettong-stream": gives a receiver every output exactly once. Outputs stay in
// the queue until the receiver has stored them; after each new connection those that it has not are
// sent again. Runs a StreamSinkLink on a thread of its own.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ingest/sink_runner.h"
#include "ingest/stream_sink_link.h"

namespace bettong::ingest {

struct StreamSinkOptions {
  std::string node_id;                    // kStreamNodeIdBytes
  std::vector<std::string> stream_names;  // by StreamId
  // By partition: the last output that may have been given out before, in an earlier process.
  std::vector<uint64_t> given_before;
};

class StreamSink final : public SinkRunner, private StreamSinkOwner {
 public:
  // `stored`, on the sink's thread: the receiver has all of the chunk.
  StreamSink(const SinkConfig& config, StreamSinkOptions options,
             std::function<void(SinkChunk*)> stored, LogLine log);
  ~StreamSink() override;

  void Start() override;
  void Send(SinkChunk* chunk) override;
  bool Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;
  bool broken() const override { return broken_.load(std::memory_order_relaxed); }

 private:
  // StreamSinkOwner, on the sink's thread.
  void OnResume(std::span<const StreamPosition> positions) override;
  void OnStored(const StreamPosition& position) override;
  void OnRoom() override;
  void OnRefused(const StreamRefusal& refusal) override;

  void TakeInbox();
  uint64_t& At(std::vector<uint64_t>& by_partition, PartitionId partition);
  bool Stored(const SinkChunk& chunk);
  void DropStored();

  const std::string name_;
  const StreamSinkOptions options_;
  const std::function<void(SinkChunk*)> stored_chunk_;
  const LogLine log_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;

  std::mutex mutex_;  // one lock a chunk, a chunk a batch
  std::condition_variable drained_;
  std::vector<SinkChunk*> inbox_;
  size_t unstored_ = 0;
  bool posted_ = false;
  std::atomic<bool> broken_{false};

  // The sink's thread.
  std::deque<SinkChunk*> queue_;
  size_t next_chunk_ = 0, next_item_ = 0;  // to be sent
  std::vector<uint64_t> given_;            // by partition: the last output that came here
  std::vector<uint64_t> stored_;           // by partition: as the receiver says
  StreamSinkLink link_;
  std::thread thread_;
};

}  // namespace bettong::ingest
