// One sink's thread: takes chunks of lines from the shards and writes them in order, with
// everything that is waiting in one go. What cannot be written is kept and tried again; only the
// shards' limit on bytes pending holds more back.
//
// Life: Start, any number of Send from shards' threads, Stop. Chunks are reported through `written`
// on the worker's thread, each once, when the sink has all of it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "grid/runtime/mail.h"
#include "ingest/config.h"
#include "ingest/sink_chunk.h"
#include "ingest/sink_runner.h"
#include "ingest/sink_writer.h"

namespace bettong::ingest {

class SinkWorker final : public SinkRunner {
 public:
  SinkWorker(std::string name, std::unique_ptr<SinkWriter> writer,
             std::function<void(SinkChunk*)> written, LogLine log);
  ~SinkWorker() override;
  SinkWorker(const SinkWorker&) = delete;
  SinkWorker& operator=(const SinkWorker&) = delete;

  void Start() override;
  void Send(SinkChunk* chunk) override;
  bool Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;

  // Nothing will be written any more: the reader of a pipe is gone.
  bool broken() const override { return broken_.load(std::memory_order_relaxed); }

 private:
  struct Delivery {
    SinkChunk* chunk = nullptr;
    Delivery* next_ = nullptr;
  };
  static constexpr size_t kPartsMax = 64;  // chunks in one write

  void Run();
  void TakeInbox();
  void WriteSome();
  void Advance(size_t bytes);
  void RestartLine();
  void NoteOutcome(const absl::Status& status);
  void Sleep(std::chrono::milliseconds at_most);
  void Wake();

  const std::string name_;
  const std::unique_ptr<SinkWriter> writer_;
  const std::function<void(SinkChunk*)> written_;
  const LogLine log_;

  grid::PostBox<Delivery> inbox_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> broken_{false};
  std::atomic<size_t> unwritten_{0};  // chunks sent and not written
  std::mutex mutex_;                  // for sleeping and draining only
  std::condition_variable wake_;
  std::condition_variable drained_;
  std::atomic<bool> sleeping_{false};

  // The worker's thread.
  std::deque<SinkChunk*> queue_;
  size_t front_written_ = 0;  // bytes of the first chunk
  bool failing_ = false;
  std::chrono::milliseconds retry_{0};
  std::thread thread_;
};

}  // namespace bettong::ingest
