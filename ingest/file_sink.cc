#include "ingest/file_sink.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/thread_name.h"

namespace bettong::ingest {
namespace {

using std::chrono::milliseconds;

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
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (retry_.count() > 0) {
        wake_.wait_for(lock, retry_, [this] { return stop_; });
      } else {
        wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      }
      if (stop_) return;
      taken_.insert(taken_.end(), queue_.begin(), queue_.end());
      queue_.clear();
    }
    const absl::Status status = output_->Write(taken_);
    NoteOutcome(status);
    if (!status.ok()) continue;
    const size_t done = taken_.size();
    written_(output_->state().Encode(), std::exchange(taken_, {}));
    const std::lock_guard lock(mutex_);
    unwritten_ -= done;
    if (unwritten_ == 0) drained_.notify_all();
  }
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
