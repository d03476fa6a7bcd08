// A blocking HTTP client for tests: sends bytes, reads what comes.
#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace bettong::server {

class HttpTestClient {
 public:
  explicit HttpTestClient(uint16_t port) : socket_(io_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
  }

  void Send(std::string_view bytes) {
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()));
  }
  // Everything up to the end of the connection.
  std::string ReadAll() {
    std::string received;
    boost::system::error_code error;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(received), error);
    return received;
  }
  // One answer on a connection that is closed after it.
  std::string Get(const std::string& path) {
    Send("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return ReadAll();
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
};

}  // namespace bettong::server
