#include "protocol/shard_port.h"

#include <utility>

#include "base/check.h"
#include "protocol/notify_letters.h"
#include "protocol/resp_connection.h"
#include "protocol/session.h"

namespace bettong::protocol {
namespace {

class PartMail final : public grid::Mail {
 public:
  PartMail(ShardPort& home, const grid::Ticket& ticket) : home_(home), ticket_(ticket) {}
  void Deliver(grid::ShardLoop&) override { home_.TakePart(ticket_, part); }

  std::string part;

 private:
  ShardPort& home_;
  grid::Ticket ticket_;
};

// A command on its way to another shard's port.
class AskMail final : public grid::Mail {
 public:
  AskMail(const CommandRow& row, Args args, ShardPort& to, ShardPort& home,
          const grid::Ticket& ticket)
      : row_(row), to_(to), home_(home), ticket_(ticket), args_(args.begin(), args.end()) {}

  void Deliver(grid::ShardLoop& shard) override {
    const std::vector<std::string_view> args(args_.begin(), args_.end());
    auto answer = std::make_unique<PartMail>(home_, ticket_);
    row_.run_port(to_, args, answer->part);
    shard.Post(ticket_.home, std::move(answer));
  }

 private:
  const CommandRow& row_;
  ShardPort& to_;
  ShardPort& home_;
  grid::Ticket ticket_;
  std::vector<std::string> args_;
};

}  // namespace

NodeSettings PortNode::Settings() const {
  const std::lock_guard lock(settings_mutex_);
  return settings_;
}

std::string PortNode::ChangeSettings(
    const std::function<std::string(NodeSettings& settings)>& change) {
  const std::lock_guard lock(settings_mutex_);
  NodeSettings changed = settings_;
  std::string error = change(changed);
  if (error.empty()) settings_ = std::move(changed);
  return error;
}

ShardPort::ShardPort(PortNode& node, grid::ShardLoop& loop)
    : node_(node), loop_(loop), batch_(loop), commands_by_slot_(node.table.slot_count()) {
  auto subscribers = std::make_unique<LocalSubscribers>();
  subscribers_ = subscribers.get();
  loop.SetSubscribers(std::move(subscribers));
  ApplySettings();
}

ShardPort::~ShardPort() {
  for (const auto& [raw, connection] : connections_) connection->Detach();
}

void ShardPort::ApplySettings() {
  const NodeSettings settings = node_.Settings();
  const uint64_t shards = loop_.slot_map().shards();
  loop_.SetMaxMemory((settings.maxmemory_bytes + shards - 1) / shards);
  const auto notify_classes = ParseNotifyLetters(settings.notify_keyspace_events);
  BETTONG_CHECK(notify_classes.has_value());  // checked where it comes in
  loop_.shard().set_notify_classes(*notify_classes);
  requires_password_ = !settings.password.empty();
}

void ShardPort::ResetStats() {
  stats_ = PortStats{};
  stats_before_ = loop_.shard().stats();
}

void ShardPort::Adopt(int descriptor) {
  auto connection = RespConnection::Open(*this, descriptor);
  if (connection == nullptr || node_.stopping.load()) {
    node_.clients.fetch_sub(1);
    return;
  }
  RespConnection* raw = connection.get();
  connections_.emplace(raw, std::move(connection));
  raw->Start();
}

void ShardPort::Remove(RespConnection& connection) {
  connections_.erase(&connection);
  node_.clients.fetch_sub(1);
  if (connections_.empty() && stopped_) std::exchange(stopped_, nullptr)();
}

void ShardPort::Stop(std::function<void()> done) {
  if (connections_.empty()) return done();
  stopped_ = std::move(done);
  std::vector<std::shared_ptr<RespConnection>> all;
  for (const auto& [raw, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all) connection->Stop();
}

Session* ShardPort::Find(ConnectionId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

void ShardPort::Add(Session& session) { sessions_.emplace(session.id(), &session); }
void ShardPort::Remove(Session& session) { sessions_.erase(session.id()); }

void ShardPort::AskPorts(const CommandRow& row, Args args, Session& session, uint64_t note) {
  grid::Ticket ticket = session.ticket();
  Gather& gather = session.ReplyInParts(row, node_.ports.size());
  gather.node = &node_;
  gather.note = note;
  gather.args.assign(args.begin(), args.end());
  for (const auto& port : node_.ports) {
    if (port.get() == this) continue;
    if ((row.flags & kForSubscribers) != 0 && port->subscribers().count() == 0) {
      --gather.parts_missing;
      continue;
    }
    ticket.part = port->loop().id().value();
    loop_.Post(port->loop().id(), std::make_unique<AskMail>(row, args, *port, *this, ticket));
  }
  std::string part;
  row.run_port(*this, args, part);
  ticket.part = loop_.id().value();
  session.Reply(ticket, part);
}

void ShardPort::TakePart(const grid::Ticket& ticket, std::string_view bytes) {
  Session* session = Find(ticket.connection);
  if (session == nullptr) return;
  session->Reply(ticket, bytes);
  session->Flush();
}

void ShardPort::FlushSubscribersSoon() {
  if (std::exchange(flushing_subscribers_, true)) return;
  loop_.Defer([this] {
    flushing_subscribers_ = false;
    subscribers_->Flush();
  });
}

}  // namespace bettong::protocol
