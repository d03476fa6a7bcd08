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
  if (!inbox_.Add(chunk)) return;
  boost::asio::post(io_, [this] {
    TakeInbox();
    OnRoom();
  });
}

bool StreamSink::Drain(std::chrono::steady_clock::time_point deadline) {
  return inbox_.WaitUntilStored(deadline);
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
  for (SinkChunk* chunk : inbox_.Take()) queue_.Take(chunk);
}

void StreamSink::OnResume(std::span<const StreamPosition> positions) {
  TakeInbox();
  inbox_.NoteStored(queue_.OnResume(positions, link_));
}

void StreamSink::OnStored(const StreamPosition& position) {
  inbox_.NoteStored(queue_.OnStored(position));
}

void StreamSink::OnRoom() { inbox_.NoteStored(queue_.Fill(link_)); }

// The link has told the log. What is left stays in the outbox, and holds admission in the end.
void StreamSink::OnRefused(const StreamRefusal&) { inbox_.GiveUp(); }

}  // namespace bettong::ingest
