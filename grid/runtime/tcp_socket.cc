#include "grid/runtime/tcp_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bettong::grid {
namespace {

using boost::asio::ip::tcp;

void Set(int descriptor, int level, int option, int value) {
  (void)::setsockopt(descriptor, level, option, &value, sizeof(value));
}

}  // namespace

tcp::socket AdoptSocket(boost::asio::io_context& io, int descriptor,
                        boost::system::error_code& error) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  tcp::socket socket(io);
  socket.assign(address.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), descriptor, error);
  if (error) {
    ::close(descriptor);
    return socket;
  }
  // Without keepalive a peer's death goes unnoticed; that is no reason to refuse it.
  Set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  Set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  Set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  Set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
  socket.non_blocking(true, error);
  if (error) socket.close();
  return socket;
}

bool PeerHasClosed(int descriptor) {
  pollfd events{descriptor, POLLRDHUP, 0};
  return ::poll(&events, 1, 0) > 0;  // POLLERR and POLLHUP are always told
}

}  // namespace bettong::grid
