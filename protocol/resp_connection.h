// A client's socket: reads into the session, sends what the session has to say. Lives on one
// shard's thread. Owned by its ShardPort and, while they wait, by the read loop and the write
// handler (shared_ptr: an Asio handler may outlive the port's interest); the session goes when the
// read loop ends.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "protocol/input_buffer.h"
#include "protocol/session.h"

namespace bettong::protocol {

// A client that lets more output than this pile up is cut. As in Redis there is more patience with
// replies, which the client asked for, than with messages of channels.
inline constexpr size_t kOutputBytesMax = 1u << 30;
inline constexpr size_t kPubSubOutputBytesMax = 32u << 20;
inline constexpr size_t kPubSubOutputBytesSoftMax = 8u << 20;  // for kPubSubOutputSoftMs
inline constexpr TimeMs kPubSubOutputSoftMs = 60'000;

class RespConnection final : public Transport, public std::enable_shared_from_this<RespConnection> {
 public:
  // Takes the accepted socket; nullptr if the client is gone already.
  static std::shared_ptr<RespConnection> Open(ShardPort& port, int descriptor);
  RespConnection(ShardPort& port, boost::asio::ip::tcp::socket socket, ClientInfo info);

  void Start();
  // Finishes what has begun, then closes.
  void Stop();
  // At once.
  void Close();
  // The port is going; the shards' threads have ended.
  void Detach();

  // Transport
  void Send() override;
  void Resume() override;
  void RetryLater() override;
  void CloseNow() override { Close(); }
  size_t InputBytes() const override { return input_.size(); }

 private:
  boost::asio::awaitable<void> Run();
  void HandleInput();
  void Linger();
  void OnEnd();
  // Gives bytes to the kernel; answers how many it took. Closes on an error.
  size_t SendSome(std::string_view bytes);
  void WaitWritable();
  void OnWritable();
  bool OverOutputLimit();

  ShardPort& port_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer room_;  // the read loop waits on it for room in the input
  boost::asio::steady_timer retry_;
  std::unique_ptr<Session> session_;
  InputBuffer input_;
  std::string sending_;   // what the kernel did not take yet; the session's output comes after it
  size_t sent_ = 0;       // of sending_
  bool writing_ = false;  // a wait for writability is under way
  bool resuming_ = false;
  bool end_of_input_ = false;
  bool lingering_ = false;  // everything is sent; waits for the client to close
  bool closed_ = false;
  bool over_soft_limit_ = false;
  TimeMs soft_limit_since_ms_ = 0;
};

}  // namespace bettong::protocol
