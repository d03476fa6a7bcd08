#include "ingest/tcp_source.h"

#include <absl/strings/str_cat.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/host_port.h"
#include "grid/runtime/call_mail.h"
#include "grid/runtime/tcp_socket.h"
#include "ingest/tcp_connection.h"

namespace bettong::ingest {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using grid::CallMail;

// After an accept that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptRetry{100};

}  // namespace

class TcpSource::ConnectionMail : public grid::Mail {
 public:
  ConnectionMail(TcpSource& source, int descriptor) : source_(source), descriptor_(descriptor) {}
  ~ConnectionMail() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  void Deliver(grid::ShardLoop& shard) override {
    source_.Adopt(shard.id().value(), std::exchange(descriptor_, -1));
  }

 private:
  TcpSource& source_;
  int descriptor_;
};

struct TcpSource::Part {
  explicit Part(grid::ShardLoop& shard) : sweep(shard.io()) {}

  std::vector<std::unique_ptr<TcpConnection>> connections;
  boost::asio::steady_timer sweep;  // for idle connections
  bool sweeping = false;
};

TcpSource::TcpSource(SourceConfig config, StreamId stream, std::vector<ShardDoor> doors,
                     LogLine log)
    : config_(std::move(config)),
      stream_(stream),
      doors_(std::move(doors)),
      log_(std::move(log)),
      acceptor_(doors_[0].shard->io()),
      retry_(doors_[0].shard->io()) {
  for (const ShardDoor& door : doors_) parts_.push_back(std::make_unique<Part>(*door.shard));
}

TcpSource::~TcpSource() = default;

absl::Status TcpSource::Open() {
  const auto failed = [&](const std::string& why) {
    return absl::UnavailableError(
        absl::StrCat("source ", config_.name, ": listen on ", config_.listen, ": ", why));
  };
  absl::StatusOr<HostPort> where = ParseHostPort(config_.listen);
  if (!where.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("source ", config_.name, ": listen: ", where.status().message()));
  }
  error_code error;
  tcp::resolver resolver(doors_[0].shard->io());
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

void TcpSource::Start() {
  grid::ShardLoop& first = *doors_[0].shard;
  if (config_.connections > 0) {
    const grid::WatermarkNote hold{.kind = grid::WatermarkNote::Kind::kHold,
                                   .stream = stream_,
                                   .expected = config_.connections};
    for (const ShardDoor& door : doors_) {
      first.Post(door.shard->id(), std::make_unique<CallMail>([hold](grid::ShardLoop& shard) {
                   grid::Message message;
                   message.kind = grid::MessageKind::kWatermark;
                   message.watermark = &hold;
                   shard.Submit({&message, 1});
                 }));
    }
  }
  first.Post(first.id(), std::make_unique<CallMail>([this](grid::ShardLoop& shard) {
               asio::co_spawn(shard.io(), Accept(), asio::detached);
             }));
}

void TcpSource::Stop() {
  grid::ShardLoop& first = *doors_[0].shard;
  // By way of shard 0, so that each shard has its connections before it stops them.
  first.Post(first.id(), std::make_unique<CallMail>([this](grid::ShardLoop& shard) {
               error_code ignored;
               acceptor_.close(ignored);
               retry_.cancel();
               stopped_.store(true);
               for (size_t i = 1; i < doors_.size(); ++i) {
                 shard.Post(
                     doors_[i].shard->id(),
                     std::make_unique<CallMail>([this, i](grid::ShardLoop&) { StopShard(i); }));
               }
               StopShard(0);
             }));
}

// --- shard 0's thread

asio::awaitable<void> TcpSource::Accept() {
  error_code error;
  while (!stopped_.load()) {
    co_await acceptor_.async_wait(tcp::acceptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
    if (error || stopped_.load()) co_return;
    const int failure = AcceptAll();
    if (failure == EAGAIN) continue;
    if (log_) log_(absl::StrCat("source ", config_.name, ": accept: ", std::strerror(failure)));
    retry_.expires_after(kAcceptRetry);
    co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

// Takes what is waiting; answers the errno that ended it.
int TcpSource::AcceptAll() {
  while (true) {
    const int descriptor =
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return errno;
    }
    const bool full = counters_.connections_open.load() >= int64_t{config_.connections_max};
    if (full && !crowded_ && log_) {
      log_(absl::StrCat("source ", config_.name,
                        ": refused a connection: ", config_.connections_max, " are open already"));
    }
    crowded_ = full;
    if (full) {
      ::close(descriptor);
      continue;
    }
    counters_.connections.fetch_add(1, std::memory_order_relaxed);
    counters_.connections_open.fetch_add(1);
    grid::ShardLoop& to = *doors_[next_shard_].shard;
    next_shard_ = (next_shard_ + 1) % doors_.size();
    doors_[0].shard->Post(to.id(), std::make_unique<ConnectionMail>(*this, descriptor));
  }
}

// --- the connection's shard

void TcpSource::Adopt(size_t shard, int descriptor) {
  const ShardDoor& door = doors_[shard];
  error_code error;
  tcp::socket socket = grid::AdoptSocket(door.shard->io(), descriptor, error);
  if (error) {
    counters_.connections_open.fetch_sub(1);
    return;
  }
  auto& mine = parts_[shard]->connections;
  TcpConnection* connection =
      mine.emplace_back(std::make_unique<TcpConnection>(*door.shard, *door.gate, config_, stream_,
                                                        counters_, std::move(socket), log_))
          .get();
  connection->Start([this, shard, connection] {
    std::erase_if(parts_[shard]->connections,
                  [&](const auto& each) { return each.get() == connection; });
    counters_.connections_open.fetch_sub(1);
  });
  SweepLater(shard);
}

void TcpSource::StopShard(size_t shard) {
  for (const auto& connection : parts_[shard]->connections) connection->Stop();
}

void TcpSource::SweepLater(size_t shard) {
  Part& part = *parts_[shard];
  if (!config_.idle_ms.has_value() || part.sweeping || part.connections.empty()) return;
  part.sweeping = true;
  part.sweep.expires_after(std::chrono::milliseconds(std::max<int64_t>(*config_.idle_ms / 4, 1)));
  part.sweep.async_wait([this, shard](const error_code& error) {
    if (error) return;
    parts_[shard]->sweeping = false;
    for (const auto& connection : parts_[shard]->connections) {
      connection->LeaveIfIdle(*config_.idle_ms);
    }
    SweepLater(shard);
  });
}

}  // namespace bettong::ingest
