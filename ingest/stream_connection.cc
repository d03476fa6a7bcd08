#include "ingest/stream_connection.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstring>
#include <exception>
#include <utility>

namespace bettong::ingest {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Admission has no bell: a connection that waits for it looks again so often.
constexpr std::chrono::milliseconds kAdmissionPoll{5};
// Of a source's name, or of what a sender says, in the log.
constexpr size_t kLoggedTextBytesMax = 200;

std::string Printable(std::string_view text) {
  const bool cut = text.size() > kLoggedTextBytesMax;
  return absl::CHexEscape(std::string(text.substr(0, kLoggedTextBytesMax))) + (cut ? "..." : "");
}

std::string PeerName(const SourceConfig& config, const asio::ip::tcp::socket& socket) {
  error_code error;
  const auto peer = socket.remote_endpoint(error);
  std::string name = absl::StrCat("source ", config.name);
  if (!error) absl::StrAppend(&name, ", ", peer.address().to_string(), ":", peer.port());
  return name;
}

}  // namespace

StreamConnection::StreamConnection(grid::ShardLoop& shard, SourceActors& actors,
                                   const SourceConfig& config, SourceCounters& counters,
                                   AdmissionNotice& admission, asio::ip::tcp::socket socket,
                                   const StreamClock& clock, const LogLine& log)
    : shard_(shard),
      actors_(actors),
      clock_(clock),
      log_(log),
      hold_(admission),
      counters_(counters),
      name_(PeerName(config, socket)),
      socket_(std::move(socket)),
      session_(*this, config.token, output_, clock()),
      wake_(shard.io()),
      writer_(shard.io()) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

void StreamConnection::Start(std::string_view received, std::function<void()> done) {
  while (!received.empty()) {
    const std::span<char> room = buffer_.Writable();
    const size_t size = std::min(room.size(), received.size());
    std::memcpy(room.data(), received.data(), size);
    buffer_.Commit(size);
    received.remove_prefix(size);
  }
  asio::co_spawn(shard_.io(), Write(), asio::detached);
  asio::co_spawn(shard_.io(), Read(),
                 [this, done = std::move(done)](const std::exception_ptr& failure) {
                   if (failure != nullptr) Log("failed");
                   done();
                 });
}

// --- reading

asio::awaitable<void> StreamConnection::Read() {
  error_code error;
  TakeFrames();
  while (true) {
    co_await WaitForRoom();
    if (session_.dead()) break;
    const std::span<char> room = buffer_.Writable();
    const auto where = asio::buffer(room.data(), room.size());
    const size_t size =
        co_await socket_.async_read_some(where, asio::redirect_error(asio::use_awaitable, error));
    if (error || session_.dead()) break;
    buffer_.Commit(size);
    counters_.bytes.fetch_add(size, std::memory_order_relaxed);
    TakeFrames();
  }
  if (error == asio::error::eof) {
    session_.Finish(clock_());
  } else {
    if (!session_.closing()) Log(error.message());
    session_.Close();
  }
  while (!session_.dead() && !(session_.complete() && all_written())) co_await Wait(wake_);
  session_.Close();
  Look();
  if (actor_ != nullptr) std::exchange(actor_, nullptr)->Disconnect(*this);
  while (!write_ended_) co_await Wait(wake_);
}

void StreamConnection::TakeFrames() {
  if (shard_.held()) return;
  if (stopping_ && !session_.closing()) {
    buffer_.Consume(buffer_.bytes().size());
    return;
  }
  const uint64_t received = session_.received();
  buffer_.Consume(session_.Consume(buffer_.bytes(), clock_()));
  if (session_.received() > received) {
    window_.EndRead();
    actor_->EndRead(*this);
  }
  Look();
}

asio::awaitable<void> StreamConnection::WaitForRoom() {
  size_t bytes_max = kStreamWindowBytes;
  // What a sender says while it is being parted with is thrown away.
  while (!session_.closing() && !stopping_) {
    const bool asks = session_.open() || shard_.held();
    const Admission admission = asks ? AdmissionOf(shard_) : Admission::kOpen;
    const bool window_full = session_.overrun() || window_.bytes() >= bytes_max;
    const bool full = window_full || admission != Admission::kOpen;
    hold_.Set(admission == Admission::kOpen && window_full ? Admission::kWindowFull : admission);
    session_.SetReading(!full, clock_());
    // A sender that does not take what we say is not deaf, and is given up in the end.
    if (!full && session_.wants_bytes()) break;
    bytes_max = kStreamWindowBytes / 2;
    if (admission == Admission::kOpen) {
      co_await Wait(wake_);
    } else {
      error_code ignored;
      wake_.expires_after(kAdmissionPoll);
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    TakeFrames();
  }
  hold_.Set(Admission::kOpen);
}

asio::awaitable<void> StreamConnection::Wait(asio::steady_timer& timer) {
  error_code ignored;
  timer.expires_at(asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// --- writing

asio::awaitable<void> StreamConnection::Write() {
  error_code error;
  while (!session_.dead()) {
    if (output_.empty()) {
      if (session_.parting()) socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
      co_await Wait(writer_);
      continue;
    }
    sending_.swap(output_);
    bool refused = false;  // the kernel took less than there was
    for (size_t sent = 0; sent < sending_.size();) {
      const auto rest = asio::buffer(sending_.data() + sent, sending_.size() - sent);
      const size_t size =
          co_await socket_.async_write_some(rest, asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        if (!session_.closing()) Log(error.message());
        session_.Close();
        break;
      }
      if (refused) session_.Heard(clock_());
      refused = size < sending_.size() - sent;
      sent += size;
    }
    sending_.clear();
    Look();
  }
  write_ended_ = true;
  wake_.cancel();
}

void StreamConnection::Look() {
  if (session_.dead() && socket_.is_open()) {
    error_code ignored;
    socket_.close(ignored);
  }
  wake_.cancel();
  writer_.cancel();
}

// --- from outside

void StreamConnection::Stop() {
  stopping_ = true;
  session_.SetReading(false, clock_());
  GoWhenAllIsDone();
  Look();
}

void StreamConnection::GoWhenAllIsDone() {
  if (!stopping_ || session_.complete() || session_.durable() < session_.last_id()) return;
  session_.Refuse(StreamError::kGoing, "the node is shutting down", clock_());
}

void StreamConnection::Tick() {
  const bool closing = session_.closing();
  session_.Tick(clock_());
  if (!closing && session_.dead()) Log("no sign of life, closed");
  if (session_.dead() || !output_.empty()) Look();
}

// --- the session's

void StreamConnection::OnHello(const StreamHello& hello) {
  absl::StrAppend(&name_, " (", Printable(hello.source), ")");
  SourceActor* const actor = actors_.Find(hello.source);
  if (actor == nullptr) {
    Refuse(StreamError::kDenied, "unknown source");
    return;
  }
  actor_ = actor;
  actor_->Connect(*this, hello);
}

void StreamConnection::OnMessage(uint64_t id, std::string_view event) {
  window_.Receive(id, event.size());
  actor_->Route(*this, id, event);
}

void StreamConnection::OnSenderError(const StreamRefusal& refusal) {
  Log(absl::StrCat("the sender says ", std::string(StreamErrorName(refusal.code)), ": ",
                   Printable(refusal.text)));
}

void StreamConnection::OnRefused(const StreamRefusal& refusal) {
  Log(absl::StrCat("refused, ", std::string(StreamErrorName(refusal.code)), ": ",
                   Printable(refusal.text)));
}

// --- the actor's

void StreamConnection::Welcome(uint64_t durable) {
  session_.Welcome({.durable = durable, .allowed = window_.allowed()});
  GoWhenAllIsDone();
  Look();
}

void StreamConnection::Acknowledge(uint64_t durable) {
  window_.Acknowledge(durable);
  session_.Acknowledge({.durable = durable, .allowed = window_.allowed()});
  GoWhenAllIsDone();
  Look();
}

void StreamConnection::Refuse(StreamError code, std::string_view text) {
  if (!session_.closing()) OnRefused({.code = code, .text = text});
  session_.Refuse(code, text, clock_());
  Look();
}

void StreamConnection::Close() {
  if (!session_.closing()) Log("closed, the source has connected anew");
  session_.Close();
  Look();
}

void StreamConnection::Log(std::string_view what) const {
  if (log_) log_(absl::StrCat(name_, ": ", std::string(what)));
}

}  // namespace bettong::ingest
