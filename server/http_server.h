// A small HTTP/1.1 server for the node's own pages: GET and HEAD, keep-alive, everything bounded.
// It has a thread of its own, which no request may block: a page is answered through a callback.
//
// Life: Listen binds, Start runs the thread, Stop ends it; destroyed when nobody calls a reply any
// more. Every method is called by the owner's thread.
#pragma once

#include <absl/status/statusor.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace bettong::server {

struct HttpOptions {
  size_t connections_max = 64;
  size_t request_bytes_max = 16u << 10;  // of its head, which is all there is
  // To send a request whole, and to take its answer; a connection may be idle as long.
  std::chrono::milliseconds request_timeout{10'000};
};

struct HttpAnswer {
  unsigned status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};

// Called once, from any thread.
using HttpReply = std::function<void(HttpAnswer answer)>;
// `path` is without the query. Called on the server's thread.
using HttpHandler = std::function<void(const std::string& path, HttpReply reply)>;

class HttpServer {
 public:
  // Port 0: any free one. The host is a numeric address or "localhost".
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(const std::string& host, uint16_t port,
                                                            HttpOptions options = {});
  ~HttpServer();  // Stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const { return port_; }
  // The server's thread; for timers of pages.
  boost::asio::io_context& io() { return io_; }

  void Start(HttpHandler handler);
  // Ends the thread; what has not been answered is not answered any more.
  void Stop();

 private:
  class Exchange;
  explicit HttpServer(HttpOptions options) : options_(options) {}

  absl::Status Open(const std::string& host, uint16_t port);
  boost::asio::awaitable<void> Accept();
  boost::asio::awaitable<void> Serve(boost::asio::ip::tcp::socket socket);

  const HttpOptions options_;
  HttpHandler handler_;
  uint16_t port_ = 0;
  size_t connections_ = 0;  // the server's thread
  std::thread thread_;
  // Last, to be destroyed first: with it goes what waits on it, and that refers to the others.
  boost::asio::io_context io_{1};
  std::unique_ptr<boost::asio::ip::tcp::acceptor> acceptor_;
};

}  // namespace bettong::server
