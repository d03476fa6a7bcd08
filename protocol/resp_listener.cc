#include "protocol/resp_listener.h"

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <utility>

namespace bettong::protocol {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr int kBacklog = 511;
constexpr auto kRetryDelay = std::chrono::milliseconds(100);  // out of descriptors or memory

}  // namespace

RespListener::RespListener(asio::io_context& io, std::function<void(int descriptor)> accepted)
    : acceptor_(io), retry_(io), accepted_(std::move(accepted)) {}

absl::Status RespListener::Open(const std::string& host, uint16_t port) {
  boost::system::error_code error;
  const asio::ip::address address =
      asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) {
    return absl::InvalidArgumentError("resp: listen on " + host + ": not a numeric address");
  }
  const tcp::endpoint endpoint(address, port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(kBacklog, error);
  if (!error) port_ = acceptor_.local_endpoint(error).port();
  if (error) {
    return absl::UnavailableError("resp: listen on " + host + ":" + std::to_string(port) + ": " +
                                  error.message());
  }
  Accept();
  return absl::OkStatus();
}

void RespListener::Close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
}

void RespListener::Accept() {
  acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
        error == asio::error::no_memory) {
      retry_.expires_after(kRetryDelay);
      retry_.async_wait([this](const boost::system::error_code& aborted) {
        if (!aborted) Accept();
      });
      return;
    }
    if (!error) {
      boost::system::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      const int descriptor = socket.release(ignored);
      if (!ignored) accepted_(descriptor);
    }
    Accept();
  });
}

}  // namespace bettong::protocol
