#include "protocol/resp_connection.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <utility>

#include "grid/runtime/tcp_socket.h"
#include "protocol/shard_port.h"

namespace bettong::protocol {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// While the session takes nothing, so much more input is read ahead.
constexpr size_t kReadAheadBytes = 64 * 1024;
constexpr size_t kOutputBytesIdleMax = 64 * 1024;  // more capacity is given back
constexpr auto kRetryDelay = std::chrono::milliseconds(2);
// A client that waits in a blocking read, and has sent more than is read ahead, is looked at so
// often: is it still there?
constexpr auto kPresenceCheck = std::chrono::seconds(1);
constexpr auto kLingerLimit = std::chrono::seconds(1);

std::string AddressText(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  const std::string port = ":" + std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + address + "]" + port : address + port;
}

}  // namespace

std::shared_ptr<RespConnection> RespConnection::Open(ShardPort& port, int descriptor) {
  boost::system::error_code error;
  tcp::socket socket = grid::AdoptSocket(port.loop().io(), descriptor, error);
  if (error) return nullptr;
  ClientInfo info;
  info.id = port.node().next_client_id.fetch_add(1);
  info.descriptor = descriptor;
  info.connected_ms = info.last_command_ms = port.loop().now_ms();
  const tcp::endpoint local = socket.local_endpoint(error);
  if (!error) info.local_address = AddressText(local);
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (!error) info.address = AddressText(remote);
  return std::make_shared<RespConnection>(port, std::move(socket), std::move(info));
}

RespConnection::RespConnection(ShardPort& port, tcp::socket socket, ClientInfo info)
    : port_(port),
      socket_(std::move(socket)),
      room_(port.loop().io()),
      retry_(port.loop().io()),
      session_(std::make_unique<Session>(port, *this, std::move(info))) {}

void RespConnection::Start() {
  auto self = shared_from_this();
  asio::co_spawn(
      port_.loop().io(), [self] { return self->Run(); },
      [self](std::exception_ptr) { self->OnEnd(); });
}

asio::awaitable<void> RespConnection::Run() {
  boost::system::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  while (!closed_) {
    const bool full = session_->waiting() && input_.size() >= kReadAheadBytes;
    if (end_of_input_ || (full && !lingering_)) {
      // HandleInput takes away the timer when the session goes on.
      if (session_->blocked()) {
        room_.expires_after(kPresenceCheck);
      } else {
        room_.expires_at(asio::steady_timer::time_point::max());
      }
      co_await room_.async_wait(token);
      // As with an end of input that is read: nobody waits for a blocking read any more.
      if (!closed_ && session_->blocked() && grid::PeerHasClosed(socket_.native_handle())) break;
      continue;
    }
    if (lingering_) input_.Clear();
    if (input_.size() >= kInputBytesMax) break;
    const std::span<char> room = input_.Prepare();
    const asio::mutable_buffer buffer(room.data(), room.size());
    const size_t bytes = co_await socket_.async_read_some(buffer, token);
    if (closed_) break;
    if (error) {
      if (error != asio::error::eof) break;
      end_of_input_ = true;
    }
    if (lingering_ && end_of_input_) break;
    input_.Commit(bytes);
    port_.stats().input_bytes += bytes;
    if (!lingering_) HandleInput();
  }
}

void RespConnection::OnEnd() {
  Close();
  if (session_ == nullptr) return;
  session_->Abandon();
  session_.reset();
  port_.Remove(*this);
}

void RespConnection::Detach() {
  Close();
  session_.reset();
}

void RespConnection::HandleInput() {
  if (closed_ || lingering_) return;
  const size_t consumed = session_->Consume(input_.unread());
  input_.Consume(consumed);
  if (end_of_input_) {
    // Nobody waits for a blocking read any more; everything else is answered first.
    if (session_->blocked()) return Close();
    if (!session_->waiting()) session_->CloseAfterReplies();
  }
  const bool paused = session_->waiting();
  Send();
  // Paused for output that the kernel took at once: nothing else would bring the session on.
  if (paused && !closed_ && !session_->waiting()) Resume();
}

void RespConnection::Stop() {
  if (closed_) return;
  if (session_->blocked() || lingering_) return Close();
  session_->CloseAfterReplies();
  Send();
}

void RespConnection::Close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  room_.cancel();
  retry_.cancel();
}

void RespConnection::Resume() {
  if (resuming_ || closed_) return;
  resuming_ = true;
  port_.loop().Defer([self = shared_from_this()] {
    self->resuming_ = false;
    self->HandleInput();
    self->room_.cancel();
  });
}

void RespConnection::RetryLater() {
  retry_.expires_after(kRetryDelay);
  retry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->Resume();
  });
}

void RespConnection::Send() {
  if (closed_ || lingering_) return;
  std::string& output = session_->output();
  if (!writing_ && !output.empty()) {
    const size_t taken = SendSome(output);
    if (closed_) return;
    if (taken == output.size()) {
      output.clear();
      if (output.capacity() > kOutputBytesIdleMax) output.shrink_to_fit();
    } else {
      sending_.swap(output);
      sent_ = taken;
      WaitWritable();
    }
    session_->set_unsent_bytes(sending_.size() - sent_);
  }
  if (writing_) {
    if (OverOutputLimit()) {
      ++port_.stats().output_limit_disconnections;
      Close();
    }
    return;
  }
  if (session_->closing() && session_->idle()) Linger();
}

// Closing a socket with unread input resets the connection, and the client may never see the last
// replies. So: no more output, and input goes nowhere until the client has closed, too.
void RespConnection::Linger() {
  if (end_of_input_ || port_.node().stopping.load()) return Close();
  if (std::exchange(lingering_, true)) return;
  port_.subscribers().RemoveAll(*session_);
  boost::system::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  retry_.expires_after(kLingerLimit);
  retry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->Close();
  });
  room_.cancel();
}

size_t RespConnection::SendSome(std::string_view bytes) {
  const ssize_t taken =
      ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (taken < 0) {
    if (errno != EAGAIN && errno != EINTR) Close();
    return 0;
  }
  port_.stats().output_bytes += static_cast<uint64_t>(taken);
  return static_cast<size_t>(taken);
}

void RespConnection::WaitWritable() {
  writing_ = true;
  socket_.async_wait(tcp::socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (error) self->Close();
                       self->OnWritable();
                     });
}

void RespConnection::OnWritable() {
  if (closed_) return;
  sent_ += SendSome(std::string_view(sending_).substr(sent_));
  if (closed_) return;
  session_->set_unsent_bytes(sending_.size() - sent_);
  if (sent_ < sending_.size()) return WaitWritable();
  writing_ = false;
  sending_.clear();
  if (sending_.capacity() > kOutputBytesIdleMax) sending_.shrink_to_fit();
  sent_ = 0;
  Send();
  // The session may have paused until its output was gone.
  if (!closed_ && !session_->waiting()) Resume();
}

bool RespConnection::OverOutputLimit() {
  const size_t bytes = session_->output_bytes();
  if (session_->subscription_count() == 0) return bytes > kOutputBytesMax;
  if (bytes > kPubSubOutputBytesMax) return true;
  if (bytes <= kPubSubOutputBytesSoftMax) {
    over_soft_limit_ = false;
    return false;
  }
  const TimeMs now_ms = session_->now_ms();
  if (!over_soft_limit_) soft_limit_since_ms_ = now_ms;
  over_soft_limit_ = true;
  return now_ms - soft_limit_since_ms_ > kPubSubOutputSoftMs;
}

}  // namespace bettong::protocol
