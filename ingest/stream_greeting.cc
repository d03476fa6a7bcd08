#include "ingest/stream_greeting.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "ingest/stream_pulse.h"

namespace bettong::ingest {

namespace asio = boost::asio;
using boost::system::error_code;

StreamGreeting::StreamGreeting(grid::ShardLoop& shard, asio::ip::tcp::socket socket, int64_t now_ms)
    : shard_(shard), socket_(std::move(socket)), late_at_ms_(now_ms + kStreamGreetingWithinMs) {}

void StreamGreeting::Start(std::function<void()> done) {
  asio::co_spawn(shard_.io(), Run(),
                 [done = std::move(done)](const std::exception_ptr&) { done(); });
}

asio::awaitable<void> StreamGreeting::Run() {
  error_code error;
  while (!heard_) {
    const std::span<char> room = buffer_.Writable();
    const auto where = asio::buffer(room.data(), room.size());
    const size_t size =
        co_await socket_.async_read_some(where, asio::redirect_error(asio::use_awaitable, error));
    if (error || !socket_.is_open()) co_return;
    buffer_.Commit(size);
    heard_ = Hear();
  }
}

bool StreamGreeting::Hear() {
  const StreamFrame frame = ScanStreamFrame(buffer_.bytes(), {StreamFrameType::kHello});
  if (frame.kind == StreamFrame::Kind::kMore) return false;
  StreamHello hello;
  if (frame.kind == StreamFrame::Kind::kFrame &&
      Decode(frame.payload, hello) == StreamDefect::kNone) {
    source_ = hello.source;
  }
  return true;
}

void StreamGreeting::Tick(int64_t now_ms) {
  if (now_ms >= late_at_ms_) Stop();
}

void StreamGreeting::Stop() {
  error_code ignored;
  socket_.close(ignored);
}

int StreamGreeting::ReleaseSocket() {
  error_code error;
  const int descriptor = socket_.release(error);
  return error ? -1 : descriptor;
}

}  // namespace bettong::ingest
