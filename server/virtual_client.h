// The one client of the Redis protocol that a virtual node has: a session without a socket, which
// takes one command at a time and answers in RESP3. Lives on the node's only thread.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "grid/runtime/executor.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"

namespace bettong::server {

class VirtualClient final : public protocol::Transport {
 public:
  // The executor runs no work of the client's once this is gone.
  VirtualClient(protocol::ShardPort& port, grid::Executor& executor);
  ~VirtualClient();

  // Gives the command to the session; what it asks of other shards runs when the executor settles.
  void Give(std::span<const std::string> args);
  // What has come back since the last call.
  std::string Take();
  // The session will not take another command.
  bool closed() const { return closed_; }

  // protocol::Transport
  void Send() override;
  void Resume() override;
  void RetryLater() override { Resume(); }
  void CloseNow() override { closed_ = true; }
  size_t InputBytes() const override { return input_.size(); }

 private:
  void Feed();

  grid::Executor& executor_;
  std::unique_ptr<protocol::Session> session_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::string input_;
  std::string received_;
  bool closed_ = false;
};

}  // namespace bettong::server
