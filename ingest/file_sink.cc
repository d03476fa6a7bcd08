#include "ingest/file_sink.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/thread_name.h"

namespace bettong::ingest {
namespace {

using std::chrono::milliseconds;

// What is written waits so long for company, or until it is so much, before it is synced: nobody
// waits for that but the outbox.
constexpr milliseconds kSyncAfter{20};
constexpr size_t kSyncBytes = 1u << 20;
constexpr milliseconds kRetryMin{50};
constexpr milliseconds kRetryMax{2000};

}  // namespace

FileSink::FileSink(std::string name, std::unique_ptr<FileOutput> output, Written written,
                   LogLine log)
    : name_(std::move(name)),
      output_(std::move(output)),
      written_(std::move(written)),
      log_(std::move(log)) {}

FileSink::~FileSink() {
  Stop();
  queue_.insert(queue_.end(), taken_.begin(), taken_.end());
  queue_.insert(queue_.end(), appended_.begin(), appended_.end());
  for (SinkChunk* chunk : queue_) {
    if (chunk->sinks_left.fetch_sub(1) == 1) delete chunk;
  }
}

void FileSink::Start() {
  thread_ = StartQuietThread([this] { Run(); });
}

void FileSink::Send(SinkChunk* chunk) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(chunk);
  ++unwritten_;
  wake_.notify_one();
}

bool FileSink::Drain(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  wake_.notify_one();
  return drained_.wait_until(lock, deadline, [this] { return unwritten_ == 0; });
}

void FileSink::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

// --- the sink's thread

void FileSink::Run() {
  NameThread("sink-" + name_);
  while (Take()) {
    const absl::Status status = Write();
    NoteOutcome(status);
    if (status.ok()) continue;
    taken_.insert(taken_.begin(), appended_.begin(), appended_.end());
    appended_.clear();
    appended_bytes_ = 0;
  }
}

bool FileSink::Take() {
  std::unique_lock lock(mutex_);
  const auto come = [this] { return stop_ || !queue_.empty(); };
  if (retry_.count() > 0) {
    wake_.wait_for(lock, retry_, [this] { return stop_; });
  } else if (appended_.empty()) {
    wake_.wait(lock, come);
  } else if (!draining_) {
    wake_.wait_until(lock, sync_at_, [&] { return come() || draining_; });
  }
  taken_.insert(taken_.end(), queue_.begin(), queue_.end());
  queue_.clear();
  return !stop_;
}

bool FileSink::DueToSync() const {
  return appended_bytes_ >= kSyncBytes || std::chrono::steady_clock::now() >= sync_at_;
}

absl::Status FileSink::Write() {
  if (!taken_.empty()) {
    if (absl::Status status = output_->Append(taken_); !status.ok()) return status;
    if (appended_.empty()) sync_at_ = std::chrono::steady_clock::now() + kSyncAfter;
    for (const SinkChunk* chunk : taken_) appended_bytes_ += chunk->lines.size();
    appended_.insert(appended_.end(), taken_.begin(), taken_.end());
    taken_.clear();
  }
  bool draining;
  {
    const std::lock_guard lock(mutex_);
    draining = draining_;
  }
  if (appended_.empty() || !(draining || DueToSync())) return absl::OkStatus();
  if (absl::Status status = output_->Sync(); !status.ok()) return status;
  Report();
  return absl::OkStatus();
}

void FileSink::Report() {
  const size_t done = appended_.size();
  appended_bytes_ = 0;
  written_(output_->state().Encode(), std::exchange(appended_, {}));
  const std::lock_guard lock(mutex_);
  unwritten_ -= done;
  if (unwritten_ == 0) drained_.notify_all();
}

void FileSink::NoteOutcome(const absl::Status& status) {
  if (status.ok()) {
    if (std::exchange(failing_, false) && log_)
      log_(absl::StrCat("sink ", name_, ": writes again"));
    retry_ = milliseconds{0};
    return;
  }
  if (!std::exchange(failing_, true) && log_) {
    log_(absl::StrCat("sink ", name_, ": ", status.message(),
                      "; its output is kept and tried again"));
  }
  retry_ = std::clamp(retry_ * 2, kRetryMin, kRetryMax);
}

}  // namespace bettong::ingest
