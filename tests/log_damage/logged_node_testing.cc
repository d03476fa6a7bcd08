#include "tests/log_damage/logged_node_testing.h"

#include <absl/strings/str_cat.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "grid/origin.h"
#include "wal/record_testing.h"

namespace bettong {
namespace {

using grid::TestShard;

wal::NodeFile Fresh() {
  wal::NodeFile fresh;
  fresh.node.fill('n');
  fresh.partitions = 64;
  return fresh;
}

uint64_t HashOf(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Brought {
  grid::RecoveredNode node;
  NodeState state;
  std::set<OutboxNumber> outbox;
};

absl::StatusOr<Brought> Bring(SimulatedDisk& disk, wal::DataDirectory& directory,
                              std::vector<std::unique_ptr<TestShard>>& shards, TimeMs now_ms) {
  std::vector<grid::Shard*> pointers;
  for (auto& shard : shards) pointers.push_back(&shard->shard());
  auto node = grid::Recover(disk, directory, pointers, shards[0]->slot_map(),
                            {.now_ms = now_ms, .segment_bytes = LoggedNode::kSegmentBytes});
  if (!node.ok()) return node.status();
  Brought brought{*std::move(node), {}, {}};
  NodeState& state = brought.state;
  for (grid::Shard* shard : pointers) {
    state.values += shard->Digest();
    state.ledger += shard->LedgerDigest();
  }
  for (const auto& [stream, watermark_ms] : pointers[0]->KnownWatermarks()) {
    state.watermarks += HashOf(absl::StrCat(stream.value(), " ", watermark_ms));
  }
  for (const grid::RecoveredOutbox& outbox : brought.node.outboxes) {
    const auto add = [&](const auto& what, std::string_view kind) {
      brought.outbox.emplace(what.partition.value(), what.sequence);
      state.outbox += HashOf(absl::StrCat(std::string(kind), what.partition.value(), " ",
                                          what.sequence, " ", what.stream.value(), " ",
                                          outbox.bytes.substr(what.begin, what.end - what.begin)));
    };
    for (const grid::Output& output : outbox.outputs) add(output, "output ");
    for (const grid::StreamInput& input : outbox.inputs) {
      add(input, absl::StrCat("input ", input.id.ms, "-", input.id.sequence, " "));
    }
  }
  return brought;
}

std::vector<std::unique_ptr<TestShard>> MakeShards(compute::ScriptedHost& host, uint32_t count,
                                                   TimeMs now_ms) {
  std::vector<std::unique_ptr<TestShard>> shards;
  for (uint32_t i = 0; i < count; ++i) {
    shards.push_back(std::make_unique<TestShard>(
        host.catalog(), host.get(),
        grid::TestShardOptions{
            .record_changes = true, .shards = count, .id = static_cast<uint16_t>(i)}));
    shards.back()->now_ms = now_ms;
  }
  return shards;
}

}  // namespace

// -- Life

absl::Status LoggedNode::Start(uint32_t shards) {
  auto directory = wal::DataDirectory::Open(disk_, kPath, Fresh());
  if (!directory.ok()) return directory.status();
  directory_ = *std::move(directory);
  shards_ = MakeShards(host_, shards, now_ms_);
  auto brought = Bring(disk_, *directory_, shards_, now_ms_);
  if (!brought.ok()) return brought.status();
  recovered_ = brought->state;
  rounds_ = std::move(brought->node.rounds);
  committers_ = std::move(brought->node.committers);
  notes_ = std::move(brought->node.notes);
  pending_.clear();
  for (const grid::RecoveredOutbox& outbox : brought->node.outboxes) {
    const auto text = [&](const auto& of) {
      return outbox.bytes.substr(of.begin, of.end - of.begin);
    };
    for (const grid::Output& output : outbox.outputs) {
      pending_[{output.partition.value(), output.sequence}] = {
          false, output.stream, {}, text(output)};
    }
    for (const grid::StreamInput& input : outbox.inputs) {
      pending_[{input.partition.value(), input.sequence}] = {true, input.stream, input.id,
                                                             text(input)};
    }
  }
  return absl::OkStatus();
}

void LoggedNode::Stop() {
  committers_.clear();
  rounds_.reset();
  shards_.clear();
  directory_.reset();
}

uint64_t LoggedNode::ValuesDigest() const {
  uint64_t digest = 0;
  for (const auto& shard : shards_) digest += shard->shard().Digest();
  return digest;
}

std::set<OutboxNumber> LoggedNode::PendingNumbers() const {
  std::set<OutboxNumber> numbers;
  for (const auto& [number, pending] : pending_) numbers.insert(number);
  return numbers;
}

absl::Status LoggedNode::Step() {
  for (uint64_t n = 1 + Below(4); n > 0; --n) SendTraffic();
  for (size_t i = 0; i < shards_.size(); ++i) {
    Gather(i);
    if (OneIn(3)) continue;
    if (absl::Status status = Commit(i); !status.ok()) return status;
  }
  if (OneIn(10)) return Mark();
  return OneIn(3) ? Tidy() : absl::OkStatus();
}

absl::Status LoggedNode::CommitAll() {
  for (size_t i = 0; i < shards_.size(); ++i) {
    Gather(i);
    if (absl::Status status = Commit(i); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status LoggedNode::Mark() {
  for (auto& committer : committers_) {
    if (absl::Status status = committer->Mark(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status LoggedNode::Checkpoint() {
  for (auto& shard : shards_) shard->shard().BeginRound();
  std::vector<bool> done(shards_.size());
  while (std::find(done.begin(), done.end(), false) != done.end()) {
    for (size_t i = 0; i < shards_.size(); ++i) {
      if (done[i]) continue;
      grid::Shard& shard = shards_[i]->shard();
      done[i] = shard.WriteImages(2000);
      if (!done[i]) continue;
      for (const auto& [at, pending] : pending_) {
        const PartitionId partition(at.first);
        if (shards_[i]->slot_map().ShardOf(partition).value() != i) continue;
        if (pending.input) {
          const grid::StreamInput input{pending.stream, partition, at.second,
                                        pending.id,     0,         pending.text.size()};
          shard.WriteEmitted({}, {&input, 1}, pending.text);
        } else {
          const grid::Output output{.stream = pending.stream,
                                    .partition = partition,
                                    .sequence = at.second,
                                    .end = pending.text.size()};
          shard.WriteEmitted({&output, 1}, {}, pending.text);
        }
      }
      shard.EndRound();
    }
    if (absl::Status status = Step(); !status.ok()) return status;
  }
  if (absl::Status status = CommitAll(); !status.ok()) return status;
  return Tidy();
}

absl::Status LoggedNode::Tidy() {
  for (auto& committer : committers_) {
    while (true) {
      const absl::StatusOr<bool> more = committer->Tidy();
      if (!more.ok()) return more.status();
      if (!*more) break;
    }
  }
  return absl::OkStatus();
}

// What has come out of the shard; outputs and inputs are pending from now on.
void LoggedNode::Gather(size_t i) {
  TestShard& shard = *shards_[i];
  shard.Send({});
  for (size_t at = 0; at < shard.output_heads.size(); ++at) {
    const grid::Output& output = shard.output_heads[at];
    const std::string& text = shard.outputs[at];
    pending_[{output.partition.value(), output.sequence}] = {
        false, output.stream, {}, text.substr(text.find(' ') + 1)};
  }
  for (size_t at = 0; at < shard.input_heads.size(); ++at) {
    const grid::StreamInput& input = shard.input_heads[at];
    const std::string& text = shard.inputs[at];
    pending_[{input.partition.value(), input.sequence}] = {true, input.stream, input.id,
                                                           text.substr(text.find(' ') + 1)};
  }
  shard.output_heads.clear(), shard.outputs.clear();
  shard.input_heads.clear(), shard.inputs.clear();
}

absl::Status LoggedNode::Commit(size_t i) {
  const std::vector<wal::OwnedSection> sections = std::exchange(shards_[i]->sections, {});
  if (sections.empty()) return absl::OkStatus();
  return committers_[i]->Commit(wal::RecordOf(sections));
}

// -- Traffic

TestShard& LoggedNode::ShardOf(std::string_view key) {
  const grid::SlotMap& slot_map = shards_[0]->slot_map();
  return *shards_[slot_map.ShardOf(slot_map.Key(key).slot).value()];
}

void LoggedNode::SendTraffic() {
  if (OneIn(4)) {
    now_ms_ += static_cast<TimeMs>(Below(OneIn(6) ? 1500 : 60));
    for (auto& shard : shards_) shard->AdvanceTo(now_ms_);
  }
  switch (Below(16)) {
    case 0:
      return NoteEndpoint();
    case 1:
      return ConfirmSome();
    case 2:
    case 3:
      return SendView();
    case 4:
      for (auto& shard : shards_) {
        shard->Watermark(now_ms_ - 500, static_cast<uint16_t>(now_ms_ % 2));
      }
      return;
    case 5:
    case 6:
    case 7:
    case 8:
      return SendEvent();
    default: {
      std::string key;
      const std::string line = KeyCommand(key);
      ShardOf(key).Do(line);
    }
  }
}

std::string LoggedNode::KeyCommand(std::string& key) {
  static constexpr std::string_view kStreams[] = {"x0", "x1", "out", "more", "events"};
  const std::string any = absl::StrCat("k", Below(9));
  const std::string text = OneIn(4) ? any : absl::StrCat("s", Below(20));
  const std::string hash = OneIn(4) ? any : absl::StrCat("h", Below(8));
  const std::string stream = OneIn(6) ? any : std::string(kStreams[Below(std::size(kStreams))]);
  const auto of = [&](const std::string& chosen) {
    key = chosen;
    return chosen;
  };
  const auto some = [&] { return of(OneIn(3) ? text : OneIn(2) ? hash : stream); };
  switch (Below(12)) {
    case 0:
    case 1:
      return absl::StrCat("SET ", of(text), " ", Value());
    case 2:
      return absl::StrCat("SET ", of(text), " ", Value(), " ", now_ms_ + 2000);
    case 3:
      return absl::StrCat("APPEND ", of(text), " ", Text(40));
    case 4:
    case 5: {
      std::string line = absl::StrCat("HSET ", of(hash));
      for (uint64_t n = OneIn(15) ? 180 : 1 + Below(4); n > 0; --n) {
        absl::StrAppend(&line, " f", Below(400), " ", Text(OneIn(8) ? 300 : 12));
      }
      return line;
    }
    case 6:
      return absl::StrCat("HDEL ", of(hash), " f", Below(400), " f", Below(400), " f", Below(4));
    case 7:
    case 8:
      return absl::StrCat("XADD ", of(stream), " ", ++stream_ms_, " 0 ", Text(OneIn(8) ? 800 : 30));
    case 9:
      return absl::StrCat("XTRIM ", of(stream), " ", stream_ms_ - Below(30), " 0");
    case 10:
      return absl::StrCat("EXPIREAT ", some(), " ", now_ms_ + static_cast<TimeMs>(Below(3000)));
    default:
      return absl::StrCat(OneIn(3) ? "DEL " : "PERSIST ", some());
  }
}

std::string LoggedNode::Script() {
  std::string script;
  for (uint64_t n = 1 + Below(3); n > 0; --n) {
    switch (Below(10)) {
      case 0:
        script += "maybe " + std::to_string(Below(100));
        break;
      case 1:
        script += OneIn(2) ? "null" : "touch";
        break;
      case 2:
      case 3:
        script += "note " + Text(OneIn(4) ? 300 : 12);
        break;
      case 4:
        script += absl::StrCat("pane ", Below(3), " ", Below(1000));
        break;
      case 5:
      case 6:
        script += "emit " + Text(40);
        break;
      case 7:
        script += OneIn(3) ? "delete" : OneIn(2) ? "raise boom" : "ttl 3000";
        break;
      default:
        script += "add " + std::to_string(Below(9));
    }
    script += ";";
  }
  return script;
}

// With a source's channel, as an acknowledged one's come.
void LoggedNode::SendEvent() {
  grid::TestEvent event{
      .entity_class = ClassId(static_cast<uint16_t>(Below(compute::kScriptedClassesBare))),
      .key = "e" + std::to_string(Below(12)),
      .script = Script(),
      .time_ms = now_ms_ - static_cast<TimeMs>(Below(400))};
  const grid::ClassSchema& entity_class = host_.catalog()->classes[event.entity_class.value()];
  TestShard& shard = ShardOf(entity_class.prefix + ":" + event.key);
  std::unique_ptr<grid::EventBatch> batch = shard.MakeBatch({event});
  ++position_;
  const std::string_view source = OneIn(2) ? "left" : "right";
  batch->channels.push_back(
      {grid::SourceChannel(source, SlotOfKey(source)), position_ > 20 ? position_ - 20 : 0});
  batch->items[0].channel = 1;
  batch->items[0].position = position_;
  grid::Message message;
  message.kind = grid::MessageKind::kEvents;
  message.events = batch.release();
  shard.Send({&message, 1});
}

// Something pending goes into its stream's view; it may have been there already.
void LoggedNode::SendView() {
  if (pending_.empty()) return;
  auto at = pending_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(Below(std::min<size_t>(pending_.size(), 20))));
  if (at->second.input) return;
  grid::ViewEntry entry{at->second.stream, at->second.text, {}, 0};
  entry.origin.channel = grid::OutboxChannel(PartitionId(at->first.first));
  entry.origin.position = at->first.second;
  grid::Message message;
  message.kind = grid::MessageKind::kViewEntry;
  message.view = &entry;
  ShardOf(host_.catalog()->streams[entry.stream.value()].name).Send({&message, 1});
}

void LoggedNode::NoteEndpoint() {
  const std::string name = absl::StrCat("sink:", Below(4));
  ShardOf(name).shard().SetEndpoint(SlotOfKey(name), name, Text(40));
}

void LoggedNode::ConfirmSome() {
  if (pending_.empty()) return;
  auto at = pending_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(Below(pending_.size())));
  const OutboxNumber up_to = at->first;
  const PartitionId partition(up_to.first);
  shards_[shards_[0]->slot_map().ShardOf(partition).value()]->shard().Confirm(partition,
                                                                              up_to.second);
  pending_.erase(pending_.lower_bound({up_to.first, 0}), pending_.upper_bound(up_to));
}

// -- Recovery

absl::StatusOr<Recovered> RecoverImage(compute::ScriptedHost& host,
                                       const SimulatedDisk::Image& image, uint32_t shards,
                                       SimulatedDisk::Image* after) {
  SimulatedDisk disk(1);
  disk.LoadImage(image);
  absl::StatusOr<Recovered> result = Recovered{};
  {
    auto directory = wal::DataDirectory::Open(disk, LoggedNode::kPath, Fresh());
    if (directory.ok()) {
      std::vector<std::unique_ptr<TestShard>> made = MakeShards(host, shards, 0);
      auto brought = Bring(disk, **directory, made, 0);
      if (brought.ok()) {
        *result = {brought->state, std::move(brought->outbox), brought->node.notes};
      } else {
        result = brought.status();
      }
    } else {
      result = directory.status();
    }
  }
  if (after != nullptr) *after = disk.TakeImage();
  return result;
}

}  // namespace bettong
