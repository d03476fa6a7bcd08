#include "ingest/tcp_connection.h"

#include <absl/strings/str_cat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <utility>

namespace bettong::ingest {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Admission has no bell: a connection that waits for it looks again so often.
constexpr std::chrono::milliseconds kAdmissionPoll{5};

std::string PeerName(const SourceConfig& config, const asio::ip::tcp::socket& socket) {
  error_code error;
  const auto peer = socket.remote_endpoint(error);
  std::string name = absl::StrCat("source ", config.name);
  if (!error) absl::StrAppend(&name, ", ", peer.address().to_string(), ":", peer.port());
  return name;
}

}  // namespace

TcpConnection::TcpConnection(grid::ShardLoop& shard, Gate& gate, const SourceConfig& config,
                             StreamId stream, SourceCounters& counters, AdmissionNotice& admission,
                             asio::ip::tcp::socket socket, const LogLine& log)
    : shard_(shard),
      gate_(gate),
      config_(config),
      log_(log),
      hold_(admission),
      socket_(std::move(socket)),
      frames_(config.framing, config.frame_bytes_max),
      lines_(MakeLineReader(config.format)),
      wake_(shard.io()) {
  channel_.SetSource(shard.AddSource(this, &counters.outstanding));
  channel_.stream = stream;
  channel_.name = PeerName(config, socket_);
  channel_.lines = lines_.get();
  channel_.counters = &counters;
}

TcpConnection::~TcpConnection() { shard_.RemoveSource(channel_.source); }

void TcpConnection::Start(std::function<void()> done) {
  asio::co_spawn(shard_.io(), Run(),
                 [this, done = std::move(done)](const std::exception_ptr& failure) {
                   if (failure != nullptr && log_) log_(absl::StrCat(channel_.name, ": failed"));
                   done();
                 });
}

asio::awaitable<void> TcpConnection::Run() {
  error_code error;
  bool readable = true;
  while (readable) {
    co_await WaitForRoom();
    if (stopped_) break;
    const std::span<char> room = frames_.Writable();
    const auto buffer = asio::buffer(room.data(), room.size());
    reading_ = true;
    const size_t size =
        co_await socket_.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
    reading_ = false;
    // What has been read waits, too.
    if (shard_.held()) co_await WaitForRoom();
    if (error) break;
    frames_.Commit(size);
    channel_.counters->bytes.fetch_add(size, std::memory_order_relaxed);
    readable = HandleFrames();
  }
  // A connection that broke or was stopped may end anywhere: half a frame is no event then.
  if (error == asio::error::eof) {
    frames_.Finish();
    HandleFrames();
  } else if (error && !stopped_ && log_) {
    log_(absl::StrCat(channel_.name, ": ", error.message()));
  }
  gate_.Leave(channel_, /*at_end=*/true);
  co_await WaitForAll();
  Close();
}

bool TcpConnection::HandleFrames() {
  bool readable = true;
  for (Frame frame = frames_.Next(); frame.kind != Frame::Kind::kNone; frame = frames_.Next()) {
    if (frame.kind == Frame::Kind::kBadLength) {
      readable = false;
      if (log_) {
        log_(absl::StrCat(channel_.name, ": frame length ", frame.size_bytes,
                          " is over max_frame_bytes = ", config_.frame_bytes_max,
                          "; connection closed"));
      }
    }
    gate_.RouteFrame(channel_, frame);
  }
  active_ms_ = shard_.now_ms();
  gate_.EndRead(channel_);
  return readable;
}

bool TcpConnection::HasRoom(int64_t events_max) const {
  return shard_.WorkOutstanding(channel_.source) < events_max && shard_.AdmissionOpen();
}

asio::awaitable<void> TcpConnection::WaitForRoom() {
  if (HasRoom(kSourceWindowEvents)) co_return;
  error_code ignored;
  wake_at_ = kSourceWindowEvents / 2;
  while (!stopped_ && !HasRoom(wake_at_ + 1)) {
    const Admission admission = AdmissionOf(shard_);
    hold_.Set(admission == Admission::kOpen ? Admission::kWindowFull : admission);
    if (admission == Admission::kOpen) {
      wake_.expires_at(asio::steady_timer::time_point::max());
    } else {
      wake_.expires_after(kAdmissionPoll);
    }
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  hold_.Set(Admission::kOpen);
  wake_at_ = -1;
  active_ms_ = shard_.now_ms();  // while we do not read, the client is not idle
}

asio::awaitable<void> TcpConnection::WaitForAll() {
  error_code ignored;
  wake_at_ = 0;
  while (shard_.Outstanding(channel_.source) > 0) {
    wake_.expires_at(asio::steady_timer::time_point::max());
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

void TcpConnection::OnCredit() {
  const int64_t left =
      wake_at_ == 0 ? shard_.Outstanding(channel_.source) : shard_.WorkOutstanding(channel_.source);
  if (left <= wake_at_) wake_.cancel();
}

void TcpConnection::Stop() {
  stopped_ = true;
  error_code ignored;
  if (reading_) socket_.cancel(ignored);
  if (wake_at_ > 0) wake_.cancel();
}

void TcpConnection::Close() {
  error_code ignored;
  if (channel_.dead_letters_total > 0 && log_) {
    log_(absl::StrCat(channel_.name, ": ", channel_.dead_letters_total,
                      " frames or events were refused, see stream bettong:dead-letters"));
  }
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

void TcpConnection::LeaveIfIdle(TimeMs idle_ms) {
  if (reading_ && shard_.now_ms() - active_ms_ >= idle_ms) {
    gate_.Leave(channel_, /*at_end=*/false);
  }
}

}  // namespace bettong::ingest
