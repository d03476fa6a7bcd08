// [sink.NAME] kind = "bettong-stream": gives a receiver every output exactly once. Runs a
// StreamSinkQueue and a StreamSinkLink on a thread of its own.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "ingest/sink_inbox.h"
#include "ingest/sink_runner.h"
#include "ingest/stream_sink_link.h"
#include "ingest/stream_sink_queue.h"

namespace bettong::ingest {

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
  bool broken() const override { return inbox_.hopeless(); }

 private:
  // StreamSinkOwner, on the sink's thread.
  void OnResume(std::span<const StreamPosition> positions) override;
  void OnStored(const StreamPosition& position) override;
  void OnRoom() override;
  void OnRefused(const StreamRefusal& refusal) override;

  void TakeInbox();

  const std::string name_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;

  SinkInbox inbox_;

  // The sink's thread.
  StreamSinkQueue queue_;
  StreamSinkLink link_;
  std::thread thread_;
};

}  // namespace bettong::ingest
