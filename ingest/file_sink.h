// The thread of a file sink whose outputs are to be in the file exactly once: writes what has come
// at once, syncs it soon, and hands the file's state over, to be logged before anything is
// confirmed.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ingest/config.h"
#include "ingest/file_output.h"
#include "ingest/sink_runner.h"

namespace bettong::ingest {

class FileSink final : public SinkRunner {
 public:
  // `written`, on the sink's thread: the chunks are on disk, in the file whose state is this.
  using Written = std::function<void(std::string state, std::vector<SinkChunk*> chunks)>;

  FileSink(std::string name, std::unique_ptr<FileOutput> output, Written written, LogLine log);
  ~FileSink() override;

  void Start() override;
  void Send(SinkChunk* chunk) override;
  bool Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;

 private:
  void Run();
  bool Take();  // false: stopped
  bool DueToSync() const;
  absl::Status Write();
  void Report();
  void NoteOutcome(const absl::Status& status);

  const std::string name_;
  const std::unique_ptr<FileOutput> output_;
  const Written written_;
  const LogLine log_;

  std::mutex mutex_;  // one lock a chunk, a chunk a batch
  std::condition_variable wake_;
  std::condition_variable drained_;
  std::vector<SinkChunk*> queue_;
  size_t unwritten_ = 0;
  bool draining_ = false;
  bool stop_ = false;

  // The sink's thread.
  std::vector<SinkChunk*> taken_;     // to be written
  std::vector<SinkChunk*> appended_;  // in the file, to be synced
  size_t appended_bytes_ = 0;
  std::chrono::steady_clock::time_point sync_at_;  // valid while anything is
  bool failing_ = false;
  std::chrono::milliseconds retry_{0};
  std::thread thread_;
};

}  // namespace bettong::ingest
