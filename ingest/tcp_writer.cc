// The writer for TCP sinks: lines to host:port, connected when there is something to write, and
// again after the connection broke. What the receiver had taken of a connection that broke is not
// known: lines not handed to the kernel whole are sent again, others are not.

#include <absl/strings/str_cat.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/host_port.h"
#include "ingest/sink_writer.h"

namespace bettong::ingest {
namespace {

constexpr int kConnectWaitMs = 2000;

class TcpWriter : public SinkWriter {
 public:
  TcpWriter(HostPort where, std::string address)
      : where_(std::move(where)), address_(std::move(address)) {}
  ~TcpWriter() override { Disconnect(); }

  Outcome Write(std::span<const iovec> parts) override {
    if (socket_ >= 0 && PeerHasClosed()) Disconnect();
    if (socket_ < 0) {
      absl::Status connected = Connect();
      if (!connected.ok()) return {.status = std::move(connected), .line_lost = true};
      // What was sent of a line on the connection before is lost with it.
      if (std::exchange(was_connected_, true)) return {.line_lost = true};
    }
    pollfd ready{socket_, POLLOUT, 0};
    if (::poll(&ready, 1, static_cast<int>(kSinkWaitMax.count())) == 0) return {};
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());  // sendmsg does not write there
    message.msg_iovlen = parts.size();
    const ssize_t size = ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) return {.bytes = static_cast<size_t>(size)};
    if (errno == EINTR || errno == EAGAIN) return {};
    absl::Status failed = Failed("send to", errno);
    Disconnect();
    return {.status = std::move(failed), .line_lost = true};
  }

 private:
  absl::Status Failed(const char* what, int error) const {
    return absl::UnavailableError(absl::StrCat(what, " ", address_, ": ", std::strerror(error)));
  }

  // What a receiver sends is of no interest, that it hangs up is.
  bool PeerHasClosed() {
    char ignored[4096];
    while (true) {
      const ssize_t size = ::recv(socket_, ignored, sizeof(ignored), MSG_DONTWAIT);
      if (size > 0) continue;
      return size == 0 || (errno != EAGAIN && errno != EINTR);
    }
  }

  absl::Status Connect() {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(where_.port);
    const int error = ::getaddrinfo(where_.host.c_str(), port.c_str(), &hints, &found);
    if (error != 0) {
      return absl::UnavailableError(
          absl::StrCat("resolve ", where_.host, ": ", ::gai_strerror(error)));
    }
    absl::Status status = absl::UnavailableError(absl::StrCat("no address for ", where_.host));
    for (const addrinfo* at = found; at != nullptr && socket_ < 0; at = at->ai_next) {
      status = ConnectTo(*at);
    }
    ::freeaddrinfo(found);
    return status;
  }

  absl::Status ConnectTo(const addrinfo& to) {
    const int made =
        ::socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol);
    if (made < 0) return Failed("socket for", errno);
    int failure = 0;
    if (::connect(made, to.ai_addr, to.ai_addrlen) != 0) failure = errno;
    if (failure == EINPROGRESS) {
      pollfd ready{made, POLLOUT, 0};
      socklen_t size = sizeof(failure);
      if (::poll(&ready, 1, kConnectWaitMs) <= 0) {
        failure = ETIMEDOUT;
      } else if (::getsockopt(made, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) {
        failure = errno;
      }
    }
    if (failure != 0) {
      ::close(made);
      return Failed("connect to", failure);
    }
    const int on = 1;
    ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(made, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    socket_ = made;
    return absl::OkStatus();
  }

  void Disconnect() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  const HostPort where_;
  const std::string address_;
  int socket_ = -1;
  bool was_connected_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SinkWriter>> MakeTcpWriter(const std::string& address) {
  absl::StatusOr<HostPort> where = ParseHostPort(address);
  if (!where.ok()) return where.status();
  return std::make_unique<TcpWriter>(*std::move(where), address);
}

}  // namespace bettong::ingest
