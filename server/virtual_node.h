// A node under a virtual clock, without ports, files or threads: the real shards, gates, sessions
// and the app's code, all on the caller's thread. Whatever a call causes has happened when it
// returns; time passes only when it is told to, by way of every deadline.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compute/turn_runner.h"
#include "grid/runtime/shard_loop.h"
#include "grid/runtime/virtual_executor.h"
#include "grid/runtime/virtual_lane.h"
#include "ingest/gate.h"
#include "ingest/input_channel.h"
#include "ingest/too_old_events.h"
#include "protocol/node_services.h"
#include "protocol/shard_port.h"
#include "server/config.h"
#include "server/virtual_client.h"

namespace bettong::server {

struct VirtualOutput {
  StreamId stream;
  TimeMs at_ms = 0;
  std::string json;
};

class VirtualNode final : public protocol::NodeServices {
 public:
  // As Node::Make. Of the configuration it takes what concerns shards, Python and memory.
  static absl::StatusOr<std::unique_ptr<VirtualNode>> Make(
      NodeConfig config, const std::vector<std::string>& app_paths, TimeMs start_ms);
  ~VirtualNode() override;

  const grid::Catalog& catalog() const { return *catalog_; }
  TimeMs now_ms() { return executor_.NowMs(); }

  // One event, as a source that reads lines of JSON would take it in.
  absl::Status Send(StreamId stream, std::string_view event);
  absl::Status AdvanceTo(TimeMs time_ms);
  // Has new code take over: of the files it was made with, or loaded last, or of these. An error
  // says why nothing has changed.
  absl::Status Reload(std::vector<std::string> app_paths);
  // Answers the command's reply, as RESP3.
  absl::StatusOr<std::string> Command(std::span<const std::string> args);
  // The entity at the Redis key, as JSON: its class, what is left of its TTL in ms or null, and its
  // fields as dead letters show them. "null": there is none.
  absl::StatusOr<std::string> Entity(std::string_view redis_key);
  // Nothing: no event-clock class takes the stream's events, or there were none.
  std::optional<TimeMs> Watermark(StreamId stream) const;
  // What was emitted, dead letters included, since the last call.
  std::vector<VirtualOutput> TakeOutputs();
  // SHUTDOWN was asked for.
  bool shutdown_requested() const { return shutdown_requested_; }

  // protocol::NodeServices
  const protocol::NodeIdentity& identity() const override { return identity_; }
  protocol::NodeSettings initial_settings() const override;
  void RequestShutdown() override { shutdown_requested_ = true; }
  void RequestReload(std::vector<std::string> paths,
                     std::function<void(std::string error)> done) override;
  SlowLog& slow_log() override { return slow_log_; }
  uint64_t EventsAdmitted() override;
  std::vector<std::pair<std::string, std::string>> InfoLines() override;

 private:
  class Outputs;
  class Input;
  class Look;

  VirtualNode(NodeConfig config, TimeMs start_ms);
  absl::Status Open(const std::vector<std::string>& app_paths);

  const NodeConfig config_;
  protocol::NodeIdentity identity_;
  SlowLog slow_log_;  // under a virtual clock nothing is
  grid::VirtualExecutor executor_;
  std::shared_ptr<const grid::Catalog> catalog_;
  std::unique_ptr<Outputs> outputs_;
  std::vector<std::string> app_paths_;
  compute::TurnRunner* runner_ = nullptr;  // the lane's
  std::unique_ptr<grid::VirtualLane> lane_;
  std::unique_ptr<ingest::TooOldEvents> too_old_;
  std::vector<std::unique_ptr<grid::ShardLoop>> shards_;
  std::vector<ingest::Gate*> gates_;
  std::unique_ptr<protocol::PortNode> port_;
  std::unique_ptr<VirtualClient> client_;
  std::map<StreamId, std::unique_ptr<Input>> inputs_;  // on shard 0
  std::string event_;                                  // at hand, padded
  bool shutdown_requested_ = false;
  // What a RELOAD among commands asks for, done when the command has nothing else to do.
  std::function<void()> reload_;
};

}  // namespace bettong::server
