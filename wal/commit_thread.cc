#include "wal/commit_thread.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"

namespace bettong::wal {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFullRetry{100};
// A log that has been idle for so long gets its marker.
constexpr milliseconds kMarkAfter{50};

}  // namespace

CommitThread::CommitThread(std::unique_ptr<Committer> committer, std::string name)
    : committer_(std::move(committer)), name_(std::move(name)) {}

CommitThread::~CommitThread() { Stop(); }

void CommitThread::Start(LogListener& listener) {
  listener_ = &listener;
  thread_ = std::thread([this] { Run(); });
}

void CommitThread::Commit(std::unique_ptr<LogRecord> record) {
  const std::lock_guard lock(mutex_);
  BETTONG_CHECK(next_ == nullptr);
  next_ = std::move(record);
  wake_.notify_one();
}

void CommitThread::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_one();
  }
  thread_.join();
}

void CommitThread::Run() {
  NameThread(name_);
  bool tidy = true;
  while (true) {
    std::unique_ptr<LogRecord> record;
    {
      std::unique_lock lock(mutex_);
      const auto come = [this] { return next_ != nullptr || stop_; };
      if (told_full_) {
        wake_.wait_for(lock, kFullRetry, come);
      } else if (tidy) {
        // There is work for when there is none.
      } else if (committer_->needs_mark()) {
        if (!wake_.wait_for(lock, kMarkAfter, come)) {
          lock.unlock();
          if (const absl::Status status = committer_->Mark(); !status.ok()) {
            return listener_->OnFailed(status);
          }
          continue;
        }
      } else {
        wake_.wait(lock, come);
      }
      record = std::move(next_);
      if (record == nullptr && stop_) break;
    }
    if (record != nullptr) {
      if (!CommitOne(std::move(record))) return;
      tidy = true;
      continue;
    }
    const absl::StatusOr<bool> more = committer_->Tidy();
    if (!more.ok()) return listener_->OnFailed(more.status());
    tidy = *more;
    NoteFull();
  }
  // What is durable is known to be: the last record stands below a marker.
  if (committer_->needs_mark()) {
    if (const absl::Status status = committer_->Mark(); !status.ok()) listener_->OnFailed(status);
  }
}

bool CommitThread::CommitOne(std::unique_ptr<LogRecord> record) {
  while (true) {
    const absl::Status status = committer_->Commit(*record);
    if (status.ok()) {
      NoteFull();
      listener_->OnDurable(std::move(record));
      return true;
    }
    if (!absl::IsResourceExhausted(status)) {
      listener_->OnFailed(status);
      return false;
    }
    NoteFull();
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, kFullRetry, [this] { return stop_; })) return false;
  }
}

void CommitThread::NoteFull() {
  if (committer_->full() == told_full_) return;
  told_full_ = committer_->full();
  listener_->OnDiskFull(told_full_);
}

}  // namespace bettong::wal
