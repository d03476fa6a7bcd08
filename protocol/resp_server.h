// The RESP port of a node: accepts clients and deals them out to the shards.
//
// Made before the shards' threads run, destroyed after they have ended. Stop is called from another
// thread than the shards', while they run.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "grid/runtime/shard_loop.h"
#include "protocol/node_services.h"
#include "protocol/port_sample.h"

namespace bettong::protocol {

class RespListener;
struct PortNode;

class RespServer {
 public:
  // Port 0: any free one. The host is a numeric address or "localhost".
  static absl::StatusOr<std::unique_ptr<RespServer>> Listen(
      std::span<grid::ShardLoop* const> shards, const std::string& host, uint16_t port,
      NodeServices& services);
  ~RespServer();
  RespServer(const RespServer&) = delete;
  RespServer& operator=(const RespServer&) = delete;

  uint16_t port() const;

  // Accepts nobody any more, lets commands that have begun finish and closes all connections; gives
  // up waiting after `limit`. False: some were still there.
  bool Stop(std::chrono::milliseconds limit);

  // What the port has done on one shard; on that shard's thread.
  PortSample Sample(ShardId shard) const;
  // From any thread.
  uint64_t connections_received() const;
  uint64_t connections_rejected() const;

  // The command's row as the core sees it, or nullptr.
  const grid::CommandSpec* FindCommand(std::string_view name) const;

 private:
  RespServer(std::span<grid::ShardLoop* const> shards, NodeServices& services);
  void OnAccepted(int descriptor);

  std::unique_ptr<PortNode> node_;
  grid::ShardLoop& first_shard_;
  std::unique_ptr<RespListener> listener_;
  uint16_t next_shard_ = 0;
};

}  // namespace bettong::protocol
