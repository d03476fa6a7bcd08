// The RESP port's part on one shard: its connections, the batch they share, its subscribers. Owned
// by RespServer; used on the shard's thread, except where noted.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "grid/runtime/shard_loop.h"
#include "protocol/command_batch.h"
#include "protocol/command_table.h"
#include "protocol/node_services.h"
#include "protocol/subscribers.h"

namespace bettong::protocol {

class RespConnection;
class Session;
class ShardPort;

// What the ports of all shards share. Nothing here is touched per command.
struct PortNode {
  explicit PortNode(NodeServices& node_services)
      : services(node_services), settings_(node_services.initial_settings()) {}

  NodeServices& services;
  const CommandTable table;
  std::vector<std::unique_ptr<ShardPort>> ports;  // by ShardId; fixed once the server listens
  uint16_t tcp_port = 0;
  std::atomic<uint64_t> next_client_id{1};
  std::atomic<uint32_t> clients{0};
  std::atomic<uint64_t> connections_received{0};
  std::atomic<uint64_t> connections_rejected{0};
  std::atomic<bool> stopping{false};

  NodeSettings Settings() const;
  // Changes nothing if `change` answers an error, which it passes on. No other change comes in
  // between; `change` must not ask for Settings.
  std::string ChangeSettings(const std::function<std::string(NodeSettings& settings)>& change);

 private:
  mutable std::mutex settings_mutex_;  // control plane
  NodeSettings settings_;
};

struct PortStats {
  uint64_t commands = 0;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  uint64_t output_limit_disconnections = 0;
  uint64_t errors = 0;
};

class ShardPort {
 public:
  ShardPort(PortNode& node, grid::ShardLoop& loop);
  ~ShardPort();

  PortNode& node() { return node_; }
  grid::ShardLoop& loop() { return loop_; }
  const CommandTable& table() const { return node_.table; }
  CommandBatch& batch() { return batch_; }
  LocalSubscribers& subscribers() { return *subscribers_; }
  PortStats& stats() { return stats_; }
  // `slot`: of the command table.
  void CountCommand(size_t slot) {
    ++stats_.commands;
    ++commands_by_slot_[slot];
  }
  // Since the start, by slot of the command table; ResetStats leaves it.
  const std::vector<uint64_t>& commands_by_slot() const { return commands_by_slot_; }
  // The shard's at the last ResetStats.
  const grid::ShardStats& stats_before() const { return stats_before_; }
  void ResetStats();
  // Bytes of the sessions' unanswered commands.
  size_t command_bytes_open() const { return static_cast<size_t>(command_bytes_open_); }
  void AddCommandBytesOpen(int64_t delta) { command_bytes_open_ += delta; }
  bool requires_password() const { return requires_password_; }

  // Takes over an accepted socket.
  void Adopt(int descriptor);
  void Remove(RespConnection& connection);
  // Every connection finishes what it has begun and closes. `done` runs when the last one is gone.
  void Stop(std::function<void()> done);

  const auto& sessions() const { return sessions_; }
  Session* Find(ConnectionId id) const;
  void Add(Session& session);
  void Remove(Session& session);

  // Runs `row.run_port` on every shard's port; the parts come to `session`, which is of this shard.
  // The merge function finds `note` in the gather. With kForSubscribers ports of other shards
  // without subscribers are not asked: their parts stay empty.
  void AskPorts(const CommandRow& row, Args args, Session& session, uint64_t note = 0);
  // A part that another shard's port answered.
  void TakePart(const grid::Ticket& ticket, std::string_view bytes);

  // Has what was published here sent after the current handler.
  void FlushSubscribersSoon();
  // Applies parameters that shards keep themselves (maxmemory, notifications, password).
  void ApplySettings();

 private:
  PortNode& node_;
  grid::ShardLoop& loop_;
  CommandBatch batch_;
  LocalSubscribers* subscribers_;  // owned by the loop
  PortStats stats_;
  std::vector<uint64_t> commands_by_slot_;
  grid::ShardStats stats_before_;
  int64_t command_bytes_open_ = 0;
  bool requires_password_ = false;
  absl::flat_hash_map<ConnectionId, Session*> sessions_;
  absl::flat_hash_map<RespConnection*, std::shared_ptr<RespConnection>> connections_;
  bool flushing_subscribers_ = false;
  std::function<void()> stopped_;
};

}  // namespace bettong::protocol
