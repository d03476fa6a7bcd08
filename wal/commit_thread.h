// A shard's log on this machine's disk: a thread that commits its records, prepares segments when
// there are none to commit, and writes a marker when none come.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "wal/committer.h"
#include "wal/log.h"

namespace bettong::wal {

class CommitThread final : public Log {
 public:
  // `name` is the thread's.
  CommitThread(std::unique_ptr<Committer> committer, std::string name);
  ~CommitThread() override;  // Stop()

  void Start(LogListener& listener) override;
  void Commit(std::unique_ptr<LogRecord> record) override;
  void Stop() override;
  const LogStats& stats() const override { return committer_->stats(); }

 private:
  void Run();
  // The record is durable, or nothing ever will be (false).
  bool CommitOne(std::unique_ptr<LogRecord> record);
  bool TidyUp();
  void NoteFull();

  const std::unique_ptr<Committer> committer_;
  const std::string name_;
  LogListener* listener_ = nullptr;
  bool told_full_ = false;  // the thread's

  std::mutex mutex_;
  std::condition_variable wake_;
  std::unique_ptr<LogRecord> next_;  // under mutex_, like stop_
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace bettong::wal
