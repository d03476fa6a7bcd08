#include "ingest/sink_worker.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/thread_name.h"

namespace bettong::ingest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRetryMin{50};
constexpr milliseconds kRetryMax{2000};
constexpr milliseconds kForever{1000 * 3600};

}  // namespace

SinkWorker::SinkWorker(std::string name, std::unique_ptr<SinkWriter> writer,
                       std::function<void(SinkChunk*)> written, LogLine log)
    : name_(std::move(name)),
      writer_(std::move(writer)),
      written_(std::move(written)),
      log_(std::move(log)) {}

SinkWorker::~SinkWorker() {
  Stop();
  TakeInbox();
  for (SinkChunk* chunk : queue_) {
    if (chunk->sinks_left.fetch_sub(1) == 1) delete chunk;
  }
}

void SinkWorker::Start() {
  // A reader that hangs up must not end the process either.
  thread_ = StartQuietThread([this] { Run(); });
}

void SinkWorker::Send(SinkChunk* chunk) {
  unwritten_.fetch_add(1);
  auto delivery = std::make_unique<Delivery>();
  delivery->chunk = chunk;
  inbox_.Push(std::move(delivery));
  if (sleeping_.load()) Wake();
}

bool SinkWorker::Drain(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  drained_.wait_until(lock, deadline, [this] { return unwritten_.load() == 0 || broken(); });
  return unwritten_.load() == 0;
}

void SinkWorker::Stop() {
  stop_.store(true);
  Wake();
  if (thread_.joinable()) thread_.join();
}

// --- the worker's thread

void SinkWorker::Run() {
  while (!stop_.load()) {
    TakeInbox();
    if (queue_.empty()) {
      Sleep(kForever);
    } else {
      WriteSome();
      if (retry_.count() > 0) Sleep(retry_);
    }
  }
}

void SinkWorker::TakeInbox() {
  for (Delivery* delivery = inbox_.TakeAll(); delivery != nullptr;) {
    queue_.push_back(delivery->chunk);
    delete std::exchange(delivery, grid::PostBox<Delivery>::Next(delivery));
  }
}

void SinkWorker::WriteSome() {
  iovec parts[kPartsMax];
  const size_t count = std::min(queue_.size(), kPartsMax);
  for (size_t i = 0; i < count; ++i) {
    const std::string& lines = queue_[i]->lines;
    const size_t skip = i == 0 ? front_written_ : 0;
    parts[i] = iovec{const_cast<char*>(lines.data()) + skip, lines.size() - skip};
  }
  const SinkWriter::Outcome outcome = writer_->Write({parts, count});
  if (outcome.line_lost) RestartLine();
  if (outcome.hopeless && !broken_.exchange(true)) {
    std::lock_guard lock(mutex_);
    drained_.notify_all();
  }
  NoteOutcome(outcome.status);
  if (outcome.bytes > 0) Advance(outcome.bytes);
}

void SinkWorker::Advance(size_t bytes) {
  size_t done = 0;
  front_written_ += bytes;
  while (!queue_.empty() && front_written_ >= queue_.front()->lines.size()) {
    front_written_ -= queue_.front()->lines.size();
    SinkChunk* chunk = queue_.front();
    queue_.pop_front();
    ++done;
    written_(chunk);
  }
  if (done > 0 && unwritten_.fetch_sub(done) == done) {
    std::lock_guard lock(mutex_);
    drained_.notify_all();
  }
}

// The line that the front chunk stands in will be written from its start.
void SinkWorker::RestartLine() {
  if (front_written_ == 0) return;
  const size_t newline = queue_.front()->lines.rfind('\n', front_written_ - 1);
  front_written_ = newline == std::string::npos ? 0 : newline + 1;
}

void SinkWorker::NoteOutcome(const absl::Status& status) {
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

void SinkWorker::Sleep(milliseconds at_most) {
  std::unique_lock lock(mutex_);
  sleeping_.store(true);
  // While a failed write waits for its next try, more lines are no reason to hurry.
  wake_.wait_for(lock, at_most,
                 [this] { return stop_.load() || (retry_.count() == 0 && !inbox_.empty()); });
  sleeping_.store(false);
}

void SinkWorker::Wake() {
  std::lock_guard lock(mutex_);
  wake_.notify_one();
}

}  // namespace bettong::ingest
