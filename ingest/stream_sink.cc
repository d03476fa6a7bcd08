#include "ingest/stream_sink.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "base/thread_name.h"

namespace bettong::ingest {

StreamSink::StreamSink(const SinkConfig& config, StreamSinkOptions options,
                       std::function<void(SinkChunk*)> stored, LogLine log)
    : name_(config.name),
      work_(boost::asio::make_work_guard(io_)),
      queue_(config.name, options, std::move(stored), log),
      link_(io_, *this, config, options.node_id, log) {}

StreamSink::~StreamSink() {
  Stop();
  TakeInbox();
}

void StreamSink::Start() {
  thread_ = StartQuietThread([this] {
    NameThread("sink-" + name_);
    link_.Start();
    io_.run();
  });
}

void StreamSink::Send(SinkChunk* chunk) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(chunk);
    ++unstored_;
    if (std::exchange(posted_, true)) return;
  }
  boost::asio::post(io_, [this] {
    TakeInbox();
    OnRoom();
  });
}

bool StreamSink::Drain(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  drained_.wait_until(lock, deadline, [this] { return unstored_ == 0 || broken(); });
  return unstored_ == 0;
}

void StreamSink::Stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(io_, [this] {
    link_.Stop();
    work_.reset();
  });
  thread_.join();
}

// --- the sink's thread

void StreamSink::TakeInbox() {
  const std::lock_guard lock(mutex_);
  posted_ = false;
  for (SinkChunk* chunk : std::exchange(inbox_, {})) queue_.Take(chunk);
}

void StreamSink::OnResume(std::span<const StreamPosition> positions) {
  TakeInbox();
  NoteStored(queue_.OnResume(positions, link_));
}

void StreamSink::OnStored(const StreamPosition& position) { NoteStored(queue_.OnStored(position)); }

void StreamSink::NoteStored(size_t chunks) {
  if (chunks == 0) return;
  const std::lock_guard lock(mutex_);
  unstored_ -= chunks;
  if (unstored_ == 0) drained_.notify_all();
}

void StreamSink::OnRoom() { NoteStored(queue_.Fill(link_)); }

void StreamSink::OnRefused(const StreamRefusal&) {
  // The link has told the log. What is left stays in the outbox, and holds admission in the end.
  broken_.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  drained_.notify_all();
}

}  // namespace bettong::ingest
