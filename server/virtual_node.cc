#include "server/virtual_node.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/json_text.h"
#include "base/log.h"
#include "compute/turn_runner.h"
#include "grid/catalog_succession.h"
#include "grid/event.h"
#include "grid/key_turn.h"
#include "server/app_loader.h"
#include "server/reloader.h"

namespace bettong::server {
namespace {

// Two runs of one test are to be alike: nothing here is random.
constexpr uint64_t kHashSeed = 1;
constexpr size_t kRunIdDigits = 40;

void ReplyEntityJson(grid::KeyTurn& turn, grid::Args) {
  if (turn.type() != grid::ValueType::kEntity) {
    turn.reply() += "null";
    return;
  }
  const grid::ClassSchema& entity_class = turn.entity_class();
  const TimeMs deadline_ms = turn.deadline_ms();
  turn.reply() += "{\"class\":";
  AppendJsonString(entity_class.name, turn.reply());
  absl::StrAppend(
      &turn.reply(), ",\"ttl\":",
      deadline_ms == kNeverExpires ? "null" : absl::StrCat(deadline_ms - turn.clock_ms()),
      ",\"fields\":", grid::RenderRowJson(entity_class.row, turn.entity_row()), "}");
}

// Nothing is at the lane when it is asked; a key that waits for a retry may be looked at.
constexpr grid::CommandSpec kEntitySpec = {
    .name = "ENTITY", .run_key = ReplyEntityJson, .reads_committed = true, .reads_fields = true};

}  // namespace

// What streams carry out of the node: kept, and done with at once.
class VirtualNode::Outputs final : public grid::SinkSet {
 public:
  explicit Outputs(VirtualNode& node) : node_(node) {}

  size_t SinksOf(StreamId) const override { return 1; }
  void Write(ShardId from, std::span<const grid::SinkItem> items) override {
    std::vector<grid::Credit> written;
    for (const grid::SinkItem& item : items) {
      kept_.push_back({item.stream, node_.now_ms(), std::string(item.json)});
      grid::AddWriteCredit(written, item.origin, -1);
    }
    node_.shards_[from.value()]->SendCredits(written);
  }
  size_t BytesPending(ShardId) const override { return 0; }

  std::vector<VirtualOutput> Take() { return std::exchange(kept_, {}); }

 private:
  VirtualNode& node_;
  std::vector<VirtualOutput> kept_;
};

// What the events of one stream come in by. Credits are not waited for: the executor settles.
class VirtualNode::Input final : public grid::SourceControl {
 public:
  Input(grid::ShardLoop& shard, StreamId stream) {
    channel.SetSource(shard.AddSource(this));
    channel.stream = stream;
    channel.name = "test";
  }
  void OnCredit() override {}

  ingest::InputChannel channel;
};

// Takes one reply, as it is.
class VirtualNode::Look final : public grid::ReplySink {
 public:
  explicit Look(grid::ShardLoop& home) : home_(home), id_(home.AddReplySink(this)) {}
  ~Look() { home_.RemoveReplySink(id_); }

  grid::Ticket ticket() const { return {.connection = id_, .sequence = 1, .home = home_.id()}; }
  void Reply(const grid::Ticket&, std::string_view bytes) override { reply = bytes; }
  void Flush() override {}

  std::string reply;

 private:
  grid::ShardLoop& home_;
  const ConnectionId id_;
};

VirtualNode::VirtualNode(NodeConfig config, TimeMs start_ms)
    : config_(std::move(config)), executor_(start_ms), outputs_(std::make_unique<Outputs>(*this)) {
  identity_.run_id = std::string(kRunIdDigits, '0');
  identity_.version = BETTONG_VERSION;
  identity_.start_time_ms = start_ms;
}

VirtualNode::~VirtualNode() {
  client_.reset();
  port_.reset();
}

absl::StatusOr<std::unique_ptr<VirtualNode>> VirtualNode::Make(
    NodeConfig config, const std::vector<std::string>& app_paths, TimeMs start_ms) {
  std::unique_ptr<VirtualNode> node(new VirtualNode(std::move(config), start_ms));
  if (absl::Status status = node->Open(app_paths); !status.ok()) return status;
  return node;
}

absl::Status VirtualNode::Open(const std::vector<std::string>& app_paths) {
  if (absl::Status status = CheckAppFiles(app_paths); !status.ok()) return status;
  auto catalog = std::make_shared<grid::Catalog>();
  catalog_ = catalog;
  auto host = LoadApps(app_paths, config_, *catalog);
  if (!host.ok()) return host.status();
  auto runner = std::make_unique<compute::TurnRunner>(catalog_, *std::move(host),
                                                      compute::TurnRunnerOptions{.logged = false});
  runner_ = runner.get();
  app_paths_ = app_paths;
  lane_ = std::make_unique<grid::VirtualLane>(executor_, std::move(runner));
  auto slot_map = std::make_shared<grid::SlotMap>(kPartitionsDefault, config_.shards, kHashSeed);
  std::vector<grid::ShardLoop*> shards;
  for (uint32_t i = 0; i < config_.shards; ++i) {
    grid::ShardLoopOptions options;
    options.shard.id = ShardId(static_cast<uint16_t>(i));
    options.shard.slot_map = slot_map;
    options.shard.catalog = catalog_;
    options.lane = lane_.get();
    options.sinks = outputs_.get();
    options.executor = &executor_;
    shards_.push_back(std::make_unique<grid::ShardLoop>(std::move(options)));
    shards.push_back(shards_.back().get());
  }
  const ingest::LogLine log = [](std::string_view line) { LogWarning("ingest", line); };
  too_old_ = std::make_unique<ingest::TooOldEvents>(*catalog_, log);
  for (grid::ShardLoop* shard : shards) {
    shard->SetShards(shards);
    ingest::GateOptions options;
    options.too_old = too_old_.get();
    options.log = log;
    auto gate = std::make_unique<ingest::Gate>(*shard, std::move(options));
    gates_.push_back(gate.get());
    shard->SetGate(std::move(gate));
  }
  lane_->SetShards(shards);
  port_ = std::make_unique<protocol::PortNode>(*this);
  for (grid::ShardLoop* shard : shards) {
    port_->ports.push_back(std::make_unique<protocol::ShardPort>(*port_, *shard));
  }
  client_ = std::make_unique<VirtualClient>(*port_->ports[0], executor_);
  return absl::OkStatus();
}

absl::Status VirtualNode::Send(StreamId stream, std::string_view event) {
  std::unique_ptr<Input>& input = inputs_[stream];
  if (input == nullptr) input = std::make_unique<Input>(*shards_[0], stream);
  ingest::Frame frame{.kind = ingest::Frame::Kind::kFrame};
  if (event.size() > ingest::kFrameBytesMax) {
    frame.kind = ingest::Frame::Kind::kTooLong;
    frame.size_bytes = event.size();
    event = event.substr(0, ingest::kFrameEvidenceBytesMax);
  }
  event_.assign(event).append(ingest::kFramePaddingBytes, ' ');
  frame.text = std::string_view(event_).substr(0, event.size());
  gates_[0]->RouteFrame(input->channel, frame);
  gates_[0]->EndRead(input->channel);
  return executor_.Settle();
}

absl::Status VirtualNode::AdvanceTo(TimeMs time_ms) { return executor_.AdvanceTo(time_ms); }

// Nothing is on its way between calls: the doors need not be held.
absl::Status VirtualNode::Reload(std::vector<std::string> app_paths) {
  if (app_paths.empty()) app_paths = app_paths_;
  if (absl::Status status = CheckAppFiles(app_paths); !status.ok()) return status;
  auto next = StageApps(runner_->host(), app_paths, config_, *catalog_);
  if (!next.ok()) return next.status();
  std::vector<uint64_t> entities(catalog_->classes.size());
  for (const auto& shard : shards_) {
    for (size_t i = 0; i < entities.size(); ++i) {
      entities[i] += shard->shard().entity_count(ClassId(static_cast<uint16_t>(i)));
    }
  }
  absl::Status status = grid::CheckSuccession(*catalog_, **next, entities);
  std::vector<std::vector<grid::MigratedRow>> migrated(shards_.size());
  for (size_t i = 0; i < shards_.size() && status.ok(); ++i) {
    status = MigrateRows(runner_->host(), shards_[i]->shard().RowsToMigrate(**next, SIZE_MAX),
                         migrated[i]);
  }
  if (!status.ok()) {
    runner_->host().DropStaged();
    return status;
  }
  runner_->Switch(*next);
  for (const auto& shard : shards_) {
    shard->SetHeld(true);
    shard->SetCatalog(**next, migrated[shard->id().value()]);
  }
  too_old_->SetCatalog(**next);
  catalog_ = *next;
  app_paths_ = std::move(app_paths);
  for (const auto& shard : shards_) shard->SetHeld(false);
  runner_->host().Tidy();
  return executor_.Settle();
}

void VirtualNode::RequestReload(std::vector<std::string> paths,
                                std::function<void(std::string error)> done) {
  reload_ = [this, paths = std::move(paths), done = std::move(done)]() mutable {
    const absl::Status status = Reload(std::move(paths));
    done(status.ok() ? "" : ReloadErrorLine(status));
  };
}

absl::StatusOr<std::string> VirtualNode::Command(std::span<const std::string> args) {
  client_->Give(args);
  absl::Status status = executor_.Settle();
  if (const auto reload = std::exchange(reload_, {})) {
    reload();
    status.Update(executor_.Settle());
  }
  std::string reply = client_->Take();
  if (status.ok() && reply.empty()) {
    status = absl::UnavailableError(
        absl::StrCat(args[0],
                     " has no reply: it waits for something, or says that it wants none; use "
                     "commands that answer at once"));
  }
  if (!status.ok() || client_->closed()) {
    client_.reset();
    client_ = std::make_unique<VirtualClient>(*port_->ports[0], executor_);
    status.Update(executor_.Settle());
  }
  if (!status.ok()) return status;
  return reply;
}

absl::StatusOr<std::string> VirtualNode::Entity(std::string_view redis_key) {
  grid::ShardLoop& home = *shards_[0];
  Look look(home);
  grid::Message message;
  message.key = home.slot_map().Key(redis_key);
  message.command = &kEntitySpec;
  message.ticket = look.ticket();
  home.SendCommands(home.slot_map().ShardOf(message.key.slot), {&message, 1});
  if (absl::Status status = executor_.Settle(); !status.ok()) return status;
  return look.reply;
}

std::optional<TimeMs> VirtualNode::Watermark(StreamId stream) const {
  for (const auto& [known, watermark_ms] : shards_[0]->shard().KnownWatermarks()) {
    if (known == stream && watermark_ms != kNoTime) return watermark_ms;
  }
  return std::nullopt;
}

std::vector<VirtualOutput> VirtualNode::TakeOutputs() { return outputs_->Take(); }

protocol::NodeSettings VirtualNode::initial_settings() const {
  protocol::NodeSettings settings;
  settings.maxmemory_bytes = config_.maxmemory_bytes;
  settings.notify_keyspace_events = config_.notify_keyspace_events;
  return settings;
}

uint64_t VirtualNode::EventsAdmitted() {
  uint64_t events = 0;
  for (const ingest::Gate* gate : gates_) events += gate->admitted();
  return events;
}

std::vector<std::pair<std::string, std::string>> VirtualNode::InfoLines() {
  return too_old_->InfoLines();
}

}  // namespace bettong::server
