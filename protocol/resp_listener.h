// The listening socket of the RESP port. Runs on the first shard's thread; gives accepted sockets
// to its owner.
#pragma once

#include <absl/status/status.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace bettong::protocol {

class RespListener {
 public:
  // `accepted` takes over the descriptor.
  RespListener(boost::asio::io_context& io, std::function<void(int descriptor)> accepted);

  // The host is a numeric address or "localhost"; port 0: any free one.
  absl::Status Open(const std::string& host, uint16_t port);
  uint16_t port() const { return port_; }
  void Close();

 private:
  void Accept();

  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  std::function<void(int descriptor)> accepted_;
  uint16_t port_ = 0;
};

}  // namespace bettong::protocol
