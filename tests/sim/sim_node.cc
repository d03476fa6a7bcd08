#include "tests/sim/sim_node.h"

#include <utility>

#include "base/key_hash.h"
#include "ingest/gate.h"
#include "tests/sim/sim_app.h"
#include "tests/sim/sim_file_sink.h"
#include "tests/sim/sim_stream_sink.h"

namespace bettong::sim {
namespace {

constexpr uint64_t kSegmentBytes = wal::kSegmentBytesMin;
constexpr uint32_t kLaneWho = 20, kSinkWho = 21, kLogWho = 24;
constexpr uint32_t kConnectionWho = 30, kWireWho = 31, kStreamSinkWho = 32;

}  // namespace

SimNode::SimNode(Scheduler& scheduler, SimulatedDisk& disk,
                 std::shared_ptr<const grid::Catalog> catalog, NodeOptions options)
    : scheduler_(scheduler), disk_(disk), catalog_(std::move(catalog)), options_(options) {}

SimNode::~SimNode() { Drop(); }

absl::Status SimNode::Start(uint32_t shards) {
  wal::NodeFile fresh;
  fresh.partitions = kPartitions;
  for (auto& byte : fresh.node) byte = static_cast<char>(scheduler_.Below(256));
  auto directory = wal::DataDirectory::Open(disk_, kDataPath, fresh);
  if (!directory.ok()) return directory.status();
  directory_ = *std::move(directory);
  auto slot_map = std::make_shared<grid::SlotMap>(kPartitions, shards, scheduler_.Below(1000));
  lane_ = std::make_unique<SimLane>(scheduler_, kLaneWho, MakeHost(catalog_));
  // Then images of large values, and rounds, are many records long.
  const bool small_images = scheduler_.OneIn(2);
  std::vector<grid::ShardLoop*> loops;
  std::vector<grid::Shard*> cores;
  for (uint32_t i = 0; i < shards; ++i) {
    executors_.push_back(std::make_unique<SimExecutor>(scheduler_, i));
    grid::ShardLoopOptions options;
    options.shard.id = ShardId(static_cast<uint16_t>(i));
    options.shard.slot_map = slot_map;
    options.shard.catalog = catalog_;
    options.shard.record_changes = true;
    if (small_images) options.shard.image_piece_bytes = 100;
    options.lane = lane_.get();
    options.executor = executors_.back().get();
    options.replies_when_durable = options_.sync;
    options.log_failed = [this](const absl::Status& status) {
      if (failed_.empty()) failed_ = std::string(status.message());
    };
    loops_.push_back(std::make_unique<grid::ShardLoop>(std::move(options)));
    loops.push_back(loops_.back().get());
    cores.push_back(&loops_.back()->shard());
  }
  for (grid::ShardLoop* loop : loops) {
    loop->SetShards(loops);
    auto gate = std::make_unique<ingest::Gate>(*loop, ingest::GateOptions{});
    doors_.push_back({loop, gate.get()});
    loop->SetGate(std::move(gate));
  }
  lane_->SetShards(loops);
  grid::RecoveryOptions options;
  options.now_ms = scheduler_.NowMs();
  options.segment_bytes = kSegmentBytes;
  options.log_per_partition = options_.log_per_partition;
  auto recovered = grid::Recover(disk_, *directory_, cores, *slot_map, options);
  if (!recovered.ok()) return recovered.status();
  rounds_ = std::move(recovered->rounds);
  for (size_t i = 0; i < loops.size(); ++i) {
    logs_.push_back(std::make_unique<SimLog>(scheduler_, kLogWho + static_cast<uint32_t>(i),
                                             std::move(recovered->committers[i]),
                                             *options_.disk_faults));
    loops[i]->SetLog({.log = logs_.back().get(),
                      .bytes_before = recovered->log_bytes / shards,
                      .round_bytes_min = scheduler_.OneIn(2) ? 4000u : 30000u,
                      .image_bytes_min = small_images ? 200 : 16u << 10});
    loops[i]->SetRecovered(std::move(recovered->outboxes[i]));
  }
  ingest::SinkConfig sink;
  sink.name = "out";
  sink.kind = ingest::SinkKind::kFile;
  sink.stream = "out";
  sink.more_streams = {std::string(grid::kDeadLetterStream)};
  sink.path = kOutPath;
  ingest::SinksOptions how;
  how.files = &disk_;
  how.make_file_sink = MakeSimFileSink(scheduler_, kSinkWho);
  how.make_stream_sink = MakeSimStreamSink(scheduler_, kStreamSinkWho, *options_.receiver);
  const wal::NodeUuid& id = directory_->node().node;
  how.node_id.assign(reinterpret_cast<const char*>(id.data()), id.size());
  ingest::SinkConfig stream_sink = sink;
  stream_sink.name = "receiver";
  stream_sink.kind = ingest::SinkKind::kBettongStream;
  auto sinks = ingest::Sinks::Open({sink, stream_sink}, loops, how, {});
  if (!sinks.ok()) return sinks.status();
  sinks_ = *std::move(sinks);
  sinks_->Start();
  for (grid::ShardLoop* loop : loops) loop->SetSinks(sinks_.get());
  for (size_t source = 0; source < std::size(kSources); ++source) {
    StreamId stream;
    catalog_->FindStream(kSources[source], &stream);
    for (const ingest::ShardDoor& door : doors_) {
      actors_[source].push_back(std::make_unique<ingest::StreamActors>(
          door, kSources[source], stream, counters_, ingest::LogLine{}));
    }
  }
  return absl::OkStatus();
}

void SimNode::Drop() {
  failed_.clear();
  connections_.clear();
  for (auto& actors : actors_) actors.clear();
  for (auto& log : logs_) log->Stop();
  lane_.reset();
  sinks_.reset();
  loops_.clear();
  logs_.clear();
  doors_.clear();
  executors_.clear();
  rounds_.reset();
  directory_.reset();
}

std::shared_ptr<SimWire> SimNode::Accept(size_t source) {
  std::erase_if(connections_, [](const auto& each) { return each->done(); });
  auto wire = std::make_shared<SimWire>(scheduler_, kWireWho);
  connections_.push_back(std::make_unique<SimConnection>(
      scheduler_, kConnectionWho, wire, [this, source](std::string_view name) {
        return actors_[source][slot_map().ShardOf(SlotOfKey(name)).value()]->Find(name);
      }));
  return wire;
}

bool SimNode::Idle() const {
  for (const auto& loop : loops_) {
    if (!loop->Idle()) return false;
  }
  return true;
}

bool SimNode::Sleeps() const {
  for (const auto& loop : loops_) {
    if (loop->shard().NextWake() != kNeverExpires) return false;
  }
  return true;
}

uint64_t SimNode::Digest() const {
  uint64_t digest = 0;
  for (const auto& loop : loops_) digest += loop->shard().Digest();
  return digest;
}

uint64_t SimNode::rounds() const {
  uint64_t count = 0;
  for (const auto& loop : loops_) count += loop->log()->rounds();
  return count;
}

bool SimNode::disk_full() const {
  for (const auto& loop : loops_) {
    if (loop->log()->full()) return true;
  }
  return false;
}

absl::StatusOr<uint64_t> SimNode::DigestOfLog(uint32_t shards, uint64_t seed) {
  SimulatedDisk copy(seed);
  copy.LoadImage(disk_.TakeImage());
  wal::NodeFile fresh;
  fresh.partitions = kPartitions;
  auto directory = wal::DataDirectory::Open(copy, kDataPath, fresh);
  if (!directory.ok()) return directory.status();
  auto slot_map = std::make_shared<grid::SlotMap>(kPartitions, shards, seed);
  std::vector<std::unique_ptr<grid::Shard>> owned;
  std::vector<grid::Shard*> cores;
  for (uint32_t i = 0; i < shards; ++i) {
    owned.push_back(
        std::make_unique<grid::Shard>(grid::ShardOptions{.id = ShardId(static_cast<uint16_t>(i)),
                                                         .slot_map = slot_map,
                                                         .catalog = catalog_,
                                                         .record_changes = true}));
    cores.push_back(owned.back().get());
  }
  grid::RecoveryOptions options;
  options.now_ms = scheduler_.NowMs();
  options.segment_bytes = kSegmentBytes;
  auto recovered = grid::Recover(copy, **directory, cores, *slot_map, options);
  if (!recovered.ok()) return recovered.status();
  uint64_t digest = 0;
  for (const auto& core : owned) digest += core->Digest();
  return digest;
}

}  // namespace bettong::sim
