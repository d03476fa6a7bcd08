#include "protocol/resp_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

#include "protocol/shard_port.h"

namespace bettong::protocol {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr int kBacklog = 511;
constexpr auto kAcceptRetryDelay = std::chrono::milliseconds(100);  // out of descriptors

class AdoptMail final : public grid::Mail {
 public:
  AdoptMail(ShardPort& port, int descriptor) : port_(port), descriptor_(descriptor) {}
  ~AdoptMail() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  void Deliver(grid::ShardLoop&) override { port_.Adopt(std::exchange(descriptor_, -1)); }

 private:
  ShardPort& port_;
  int descriptor_;
};

// Runs a function on a shard's thread.
class CallMail final : public grid::Mail {
 public:
  explicit CallMail(std::function<void()> call) : call_(std::move(call)) {}
  void Deliver(grid::ShardLoop& shard) override { shard.Defer(std::move(call_)); }

 private:
  std::function<void()> call_;
};

// Counts ports that have closed their last connection. Shared by Stop and the ports: the ports may
// come to their end after Stop gave up.
struct StopCount {
  std::mutex mutex;
  std::condition_variable changed;
  size_t ports_left = 0;
};

absl::Status ListenError(const std::string& host, uint16_t port,
                         const boost::system::error_code& error) {
  return absl::UnavailableError("resp: listen on " + host + ":" + std::to_string(port) + ": " +
                                error.message());
}

}  // namespace

RespServer::RespServer(std::span<grid::ShardLoop* const> shards, NodeServices& services)
    : node_(std::make_unique<PortNode>(services)),
      first_shard_(*shards.front()),
      acceptor_(first_shard_.io()),
      retry_(first_shard_.io()) {
  for (grid::ShardLoop* shard : shards) {
    node_->ports.push_back(std::make_unique<ShardPort>(*node_, *shard));
  }
}

RespServer::~RespServer() = default;

absl::StatusOr<std::unique_ptr<RespServer>> RespServer::Listen(
    std::span<grid::ShardLoop* const> shards, const std::string& host, uint16_t port,
    NodeServices& services) {
  boost::system::error_code error;
  const asio::ip::address address =
      asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) {
    return absl::InvalidArgumentError("resp: '" + host + "' is not a numeric address");
  }
  std::unique_ptr<RespServer> server(new RespServer(shards, services));
  const tcp::endpoint endpoint(address, port);
  tcp::acceptor& acceptor = server->acceptor_;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) return ListenError(host, port, error);
  server->node_->tcp_port = acceptor.local_endpoint().port();
  server->Accept();
  return server;
}

uint16_t RespServer::port() const { return node_->tcp_port; }

const grid::CommandSpec* RespServer::FindCommand(std::string_view name) const {
  const CommandRow* row = node_->table.Find(name);
  return row == nullptr ? nullptr : &row->spec;
}

void RespServer::Accept() {
  acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
        error == asio::error::no_memory) {
      retry_.expires_after(kAcceptRetryDelay);
      retry_.async_wait([this](const boost::system::error_code& aborted) {
        if (!aborted) Accept();
      });
      return;
    }
    if (!error) {
      boost::system::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      socket.set_option(asio::socket_base::keep_alive(true), ignored);
      const int descriptor = socket.release(ignored);
      if (!ignored) OnAccepted(descriptor);
    }
    Accept();
  });
}

void RespServer::OnAccepted(int descriptor) {
  if (node_->clients.fetch_add(1) >= node_->Settings().clients_max) {
    constexpr std::string_view kRefusal = "-ERR max number of clients reached\r\n";
    (void)!::send(descriptor, kRefusal.data(), kRefusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::close(descriptor);
    node_->clients.fetch_sub(1);
    node_->connections_rejected.fetch_add(1);
    return;
  }
  node_->connections_received.fetch_add(1);
  ShardPort& port = *node_->ports[next_shard_];
  next_shard_ = static_cast<uint16_t>((next_shard_ + 1) % node_->ports.size());
  first_shard_.Post(port.loop().id(), std::make_unique<AdoptMail>(port, descriptor));
}

bool RespServer::Stop(std::chrono::milliseconds limit) {
  auto count = std::make_shared<StopCount>();
  count->ports_left = node_->ports.size();
  node_->stopping.store(true);
  first_shard_.Post(first_shard_.id(), std::make_unique<CallMail>([this] {
                      boost::system::error_code ignored;
                      acceptor_.close(ignored);
                      retry_.cancel();
                    }));
  for (const auto& port : node_->ports) {
    first_shard_.Post(port->loop().id(), std::make_unique<CallMail>([&port = *port, count] {
                        port.Stop([count] {
                          const std::lock_guard lock(count->mutex);
                          --count->ports_left;
                          count->changed.notify_all();
                        });
                      }));
  }
  std::unique_lock lock(count->mutex);
  return count->changed.wait_for(lock, limit, [&] { return count->ports_left == 0; });
}

}  // namespace bettong::protocol
