#include "ingest/tcp_acceptor.h"

#include <absl/strings/str_cat.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/host_port.h"

namespace bettong::ingest {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// After an accept that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptRetry{100};

}  // namespace

TcpAcceptor::TcpAcceptor(grid::ShardLoop& shard, std::string what, LogLine log)
    : what_(std::move(what)), log_(std::move(log)), acceptor_(shard.io()), retry_(shard.io()) {}

absl::Status TcpAcceptor::Open(const std::string& listen) {
  const auto failed = [&](const std::string& why) {
    return absl::UnavailableError(absl::StrCat(what_, ": listen on ", listen, ": ", why));
  };
  absl::StatusOr<HostPort> where = ParseHostPort(listen);
  if (!where.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(what_, ": listen: ", where.status().message()));
  }
  error_code error;
  tcp::resolver resolver(acceptor_.get_executor());
  const auto found =
      resolver.resolve(where->host, std::to_string(where->port), tcp::resolver::passive, error);
  if (error || found.empty()) return failed(error.message());
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (error) return failed(error.message());
  acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor_.native_non_blocking(true, error);
  if (error) return failed(error.message());
  const tcp::endpoint bound = acceptor_.local_endpoint(error);
  address_ = FormatHostPort(bound.address().to_string(), bound.port());
  return absl::OkStatus();
}

void TcpAcceptor::Start(std::function<void(int descriptor)> take) {
  take_ = std::move(take);
  asio::co_spawn(acceptor_.get_executor(), Accept(), asio::detached);
}

void TcpAcceptor::Stop() {
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
}

asio::awaitable<void> TcpAcceptor::Accept() {
  error_code error;
  while (!stopped_) {
    co_await acceptor_.async_wait(tcp::acceptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
    if (error || stopped_) co_return;
    const int failure = AcceptAll();
    if (failure == EAGAIN) continue;
    if (log_) log_(absl::StrCat(what_, ": accept: ", std::strerror(failure)));
    retry_.expires_after(kAcceptRetry);
    co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

// Takes what is waiting; answers the errno that ended it.
int TcpAcceptor::AcceptAll() {
  while (true) {
    const int descriptor =
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
      take_(descriptor);
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return errno;
    }
  }
}

}  // namespace bettong::ingest
