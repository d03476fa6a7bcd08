#include "protocol/resp_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

#include "grid/runtime/call_mail.h"
#include "protocol/resp_listener.h"
#include "protocol/shard_port.h"

namespace bettong::protocol {
namespace {

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

// Counts ports that have closed their last connection. Shared by Stop and the ports: the ports may
// come to their end after Stop gave up.
struct StopCount {
  std::mutex mutex;
  std::condition_variable changed;
  size_t ports_left = 0;
};

}  // namespace

RespServer::RespServer(std::span<grid::ShardLoop* const> shards, NodeServices& services)
    : node_(std::make_unique<PortNode>(services)),
      first_shard_(*shards.front()),
      listener_(std::make_unique<RespListener>(
          first_shard_.io(), [this](int descriptor) { OnAccepted(descriptor); })) {
  for (grid::ShardLoop* shard : shards) {
    node_->ports.push_back(std::make_unique<ShardPort>(*node_, *shard));
  }
}

RespServer::~RespServer() = default;

absl::StatusOr<std::unique_ptr<RespServer>> RespServer::Listen(
    std::span<grid::ShardLoop* const> shards, const std::string& host, uint16_t port,
    NodeServices& services) {
  std::unique_ptr<RespServer> server(new RespServer(shards, services));
  if (absl::Status opened = server->listener_->Open(host, port); !opened.ok()) return opened;
  server->node_->tcp_port = server->listener_->port();
  return server;
}

uint16_t RespServer::port() const { return node_->tcp_port; }

PortSample RespServer::Sample(ShardId shard) const {
  return SamplePort(*node_->ports[shard.value()]);
}
uint64_t RespServer::connections_received() const { return node_->connections_received.load(); }
uint64_t RespServer::connections_rejected() const { return node_->connections_rejected.load(); }

const grid::CommandSpec* RespServer::FindCommand(std::string_view name) const {
  const CommandRow* row = node_->table.Find(name);
  return row == nullptr ? nullptr : &row->spec;
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
  // After the mail that is there already.
  const auto run_on = [&](ShardId shard, std::function<void()> call) {
    first_shard_.Post(shard,
                      std::make_unique<grid::CallMail>(
                          [call = std::move(call)](grid::ShardLoop& loop) { loop.Defer(call); }));
  };
  run_on(first_shard_.id(), [this] { listener_->Close(); });
  for (const auto& port : node_->ports) {
    run_on(port->loop().id(), [&port = *port, count] {
      port.Stop([count] {
        const std::lock_guard lock(count->mutex);
        --count->ports_left;
        count->changed.notify_all();
      });
    });
  }
  std::unique_lock lock(count->mutex);
  return count->changed.wait_for(lock, limit, [&] { return count->ports_left == 0; });
}

}  // namespace bettong::protocol
