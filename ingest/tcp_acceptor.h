// A listening TCP socket on a shard: takes what connects, and goes on when there are no descriptors
// left for a moment.
//
// Opened before the shard runs; Start and Stop on the shard's thread.
#pragma once

#include <absl/status/status.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>

#include "grid/runtime/shard_loop.h"
#include "ingest/config.h"

namespace bettong::ingest {

class TcpAcceptor {
 public:
  // `what`, for errors and the log: "source metrics".
  TcpAcceptor(grid::ShardLoop& shard, std::string what, LogLine log);

  // Binds and listens; "host:port".
  absl::Status Open(const std::string& listen);
  const std::string& address() const { return address_; }  // host:port, as bound

  // `take` owns the descriptor it is given (non-blocking).
  void Start(std::function<void(int descriptor)> take);
  void Stop();

 private:
  boost::asio::awaitable<void> Accept();
  int AcceptAll();

  const std::string what_;
  const LogLine log_;
  std::string address_;
  std::function<void(int descriptor)> take_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  bool stopped_ = false;
};

}  // namespace bettong::ingest
