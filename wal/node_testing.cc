#include "wal/node_testing.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "wal/open_logs.h"

namespace bettong::wal {
namespace {

absl::StatusOr<HistoryEnd> ReplayInto(History& history, std::vector<Sections>& found) {
  const auto visit = [&](const History::Visit& at) {
    const Section& section = at.section;
    found[section.partition.value()].push_back({at.epoch, section.sequence, section.kind,
                                                std::string(section.entries), at.shard, at.segment,
                                                at.record_offset, at.complete_round});
    return absl::OkStatus();
  };
  return history.Replay([](PartitionId) { return true; }, visit, nullptr);
}

std::string Describe(const Sections& sections) {
  std::string text;
  for (const SectionSeen& at : sections) {
    absl::StrAppend(&text, " ", at.epoch.value(), "/", at.sequence);
    if (at.kind != SectionKind::kData) absl::StrAppend(&text, "!", static_cast<int>(at.kind));
  }
  return text;
}

// Whether sections behind this place of `sections` are behind a complete round in it.
bool CompleteBefore(const Sections& sections, size_t end, bool from_beginning) {
  if (from_beginning) return true;
  for (size_t i = 0; i < end; ++i) {
    CheckpointEndEntry entry;
    if (sections[i].kind != SectionKind::kCheckpointEnd) continue;
    BETTONG_CHECK(DecodeCheckpointEnd(sections[i].entries, entry));
    for (size_t j = 0; j < i; ++j) {
      if (sections[j].epoch == entry.begin_epoch && sections[j].sequence == entry.begin_sequence) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<std::vector<Sections>> ReadEverything(FileSystem& files, const std::string& path) {
  auto directory = DataDirectory::OpenToRead(files, path);
  if (!directory.ok()) return directory.status();
  auto history = History::Open(files, **directory);
  if (!history.ok()) return history.status();
  std::vector<Sections> found((*directory)->node().partitions);
  if (auto end = ReplayInto(**history, found); !end.ok()) return end.status();
  return found;
}

absl::Status TestNode::Start(uint32_t shards) {
  NodeUuid node{};
  for (size_t i = 0; i < node.size(); ++i) node[i] = static_cast<char>(i + 1);
  auto directory = DataDirectory::Open(disk_, kPath, {.node = node, .partitions = kPartitions});
  if (!directory.ok()) return directory.status();
  directory_ = *std::move(directory);
  auto history = History::Open(disk_, *directory_);
  if (!history.ok()) return history.status();
  std::vector<Sections> found(kPartitions);
  const absl::StatusOr<HistoryEnd> end = ReplayInto(**history, found);
  if (!end.ok()) return end.status();
  if (absl::Status status = Check(found, *end); !status.ok()) return status;
  if (absl::Status status = (*history)->Settle(); !status.ok()) return status;

  return OpenPartitions(shards, *end);
}

absl::Status TestNode::Check(const std::vector<Sections>& found, const HistoryEnd& end) {
  notes_ = end.notes;
  for (size_t i = 0; i < kPartitions; ++i) CheckPartition(i, found[i], end.partitions[i]);
  return fault_.empty() ? absl::OkStatus() : absl::InternalError(fault_);
}

void TestNode::CheckPartition(size_t index, const Sections& found, const PartitionTail& tail) {
  Partition& partition = partitions_[index];
  for (const Sections& possible : partition.possible) {
    if (found.size() > possible.size()) continue;
    const size_t skipped = possible.size() - found.size();
    const bool same = std::equal(
        found.begin(), found.end(), possible.begin() + static_cast<std::ptrdiff_t>(skipped),
        [](const SectionSeen& a, const SectionSeen& b) { return a.SameAs(b); });
    if (!same || skipped > partition.needed_from) continue;
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i].complete_round != CompleteBefore(found, i, skipped == 0)) {
        fault_ = absl::StrCat("partition ", index, ": wrong complete_round at ", i, " of",
                              Describe(found));
      }
    }
    const SectionSeen last = found.empty() ? SectionSeen() : found.back();
    if (tail.epoch != last.epoch || tail.last_sequence != last.sequence) {
      fault_ = absl::StrCat("partition ", index, ": its tail is said to be ", tail.epoch.value(),
                            "/", tail.last_sequence);
    }
    Sections history(possible.begin(), possible.begin() + static_cast<std::ptrdiff_t>(skipped));
    history.insert(history.end(), found.begin(), found.end());
    partition.history = std::move(history);
    return;
  }
  fault_ = absl::StrCat("partition ", index, ": found", Describe(found), "; needed from ",
                        partition.needed_from, " of one of");
  for (const Sections& possible : partition.possible) {
    absl::StrAppend(&fault_, "\n  ", Describe(possible));
  }
}

absl::Status TestNode::OpenPartitions(uint32_t shards, const HistoryEnd& end) {
  moved_ = Below(3);
  const auto shard_of = [&](size_t partition) {
    return ShardId(static_cast<uint16_t>((partition + moved_) % shards));
  };
  absl::StatusOr<OpenedLogs> opened =
      OpenLogs(disk_, *directory_, end,
               {.shards = shards,
                .shard_of = [&](PartitionId partition) { return shard_of(partition.value()); },
                .now_ms = salt_,
                .segment_bytes = kSegmentBytes,
                .spare_segments_max = 1});
  epoch_ = Epoch(end.last_epoch.value() + 1);
  for (size_t i = 0; i < kPartitions; ++i) {
    Partition& partition = partitions_[i];
    SectionSeen open{.epoch = epoch_, .sequence = 1, .kind = SectionKind::kOpen};
    open.shard = shard_of(i);
    open.segment = end.LogOf(open.shard).next_segment;
    EncodeOpen(
        {.continues = end.partitions[i].epoch, .cut_sequence = end.partitions[i].last_sequence},
        open.entries);
    partition.sequence = 1;
    partition.round_begin.reset();
    Sections history = partition.history;
    history.push_back(std::move(open));
    if (opened.ok()) {
      partition.history = std::move(history);
      partition.possible = {partition.history};
    } else {
      partition.possible.push_back(std::move(history));
    }
  }
  if (opened.ok()) writers_ = std::move(opened->writers);
  return opened.status();
}

void TestNode::Add(PartitionId partition, SectionKind kind, std::string entries) {
  group_.push_back({partition,
                    {.epoch = epoch_,
                     .sequence = ++partitions_[partition.value()].sequence,
                     .kind = kind,
                     .entries = std::move(entries)}});
}

absl::Status TestNode::Commit(ShardId shard) {
  SegmentWriter& writer = *writers_[shard.value()];
  std::vector<Section> sections;
  for (const Pending& pending : group_) {
    sections.push_back({.partition = pending.partition,
                        .kind = pending.section.kind,
                        .sequence = pending.section.sequence,
                        .now_ms = static_cast<TimeMs>(commits_),
                        .entries = pending.section.entries});
  }
  group_shard_ = shard;
  const absl::StatusOr<Lsn> lsn = writer.Commit(sections);
  if (absl::IsResourceExhausted(lsn.status())) {
    return lsn.status();
  }
  std::map<PartitionId, Sections> with;
  for (Pending& pending : group_) {
    pending.section.shard = shard;
    pending.section.segment = writer.current_segment();
    Partition& partition = partitions_[pending.partition.value()];
    auto at = with.try_emplace(pending.partition, partition.history).first;
    at->second.push_back(std::move(pending.section));
  }
  group_.clear();
  group_shard_.reset();
  for (auto& [id, history] : with) {
    Partition& partition = partitions_[id.value()];
    if (!lsn.ok()) {
      partition.possible.push_back(std::move(history));
      continue;
    }
    partition.history = std::move(history);
    partition.possible = {partition.history};
    const SectionSeen& last = partition.history.back();
    if (last.kind == SectionKind::kCheckpointBegin) {
      partition.round_begin = partition.history.size() - 1;
    } else if (last.kind == SectionKind::kCheckpointEnd) {
      partition.needed_from = *partition.round_begin;
      partition.round_begin.reset();
    }
  }
  if (lsn.ok()) ++commits_;
  if (!lsn.ok() && writer.Commit({}).status() != lsn.status()) {
    fault_ = "a broken writer answered something else";
  }
  return lsn.status();
}

std::string TestNode::RandomBytes() {
  const uint64_t size = Below(40) == 0  ? Below(3 * kSegmentBytes)
                        : Below(4) == 0 ? Below(2000)
                                        : Below(200);
  std::string bytes = absl::StrCat(++bytes_made_, std::string(1, salt_));
  // Zeros and repetitions too: what a torn write leaves must not look whole.
  const uint64_t style = Below(3);
  while (bytes.size() < size) {
    bytes.push_back(style == 0 ? '\0' : style == 1 ? 'x' : static_cast<char>(Below(256)));
  }
  return bytes;
}

absl::Status TestNode::CommitRandomly(ShardId shard) {
  const uint64_t sections_max = 1 + Below(4);
  for (uint64_t n = 0; n < sections_max; ++n) {
    const size_t index = Below(kPartitions);
    const PartitionId id(static_cast<uint16_t>(index));
    Partition& partition = partitions_[index];
    if (ShardOf(index) != shard) continue;
    // One checkpoint section per record, at its end, keeps the bookkeeping in Commit simple.
    if (Below(8) > 0 || n + 1 < sections_max) {
      Add(id, SectionKind::kData, RandomBytes());
    } else if (!partition.round_begin) {
      Add(id, SectionKind::kCheckpointBegin, "");
    } else {
      const SectionSeen& begin = partition.history[*partition.round_begin];
      std::string entries;
      EncodeCheckpointEnd({begin.epoch, begin.sequence}, entries);
      Add(id, SectionKind::kCheckpointEnd, std::move(entries));
    }
  }
  return Commit(shard);
}

absl::Status TestNode::Step() {
  if (group_shard_) return Commit(*group_shard_);  // of which a full disk wanted nothing
  const ShardId shard(static_cast<uint16_t>(Below(writers_.size())));
  switch (Below(12)) {
    case 0:
      return Commit(shard);  // a marker
    case 1:
      return writers_[shard.value()]->PrepareNextSegment(Below(2 * kSegmentBytes));
    case 2:
      return Trim();
    default:
      return CommitRandomly(shard);
  }
}

absl::Status TestNode::Checkpoint() {
  for (size_t i = 0; i < kPartitions; ++i) {
    const PartitionId id(static_cast<uint16_t>(i));
    Add(id, SectionKind::kCheckpointBegin, "");
    if (absl::Status status = Commit(ShardOf(i)); !status.ok()) return status;
    const SectionSeen& begin = partitions_[i].history.back();
    std::string entries;
    EncodeCheckpointEnd({begin.epoch, begin.sequence}, entries);
    Add(id, SectionKind::kCheckpointEnd, std::move(entries));
    if (absl::Status status = Commit(ShardOf(i)); !status.ok()) return status;
  }
  return Trim();
}

absl::Status TestNode::Trim() {
  std::map<ShardId, SegmentNumber> needed;
  for (const Partition& partition : partitions_) {
    for (size_t i = partition.needed_from; i < partition.history.size(); ++i) {
      const SectionSeen& at = partition.history[i];
      const auto entry = needed.try_emplace(at.shard, at.segment).first;
      entry->second = std::min(entry->second, at.segment);
    }
  }
  for (size_t i = 0; i < writers_.size(); ++i) {
    SegmentWriter& writer = *writers_[i];
    const auto at = needed.find(ShardId(static_cast<uint16_t>(i)));
    absl::Status status =
        writer.RemoveBelow(at == needed.end() ? writer.current_segment() : at->second);
    if (!status.ok()) return status;
  }
  const auto shards = directory_->Shards();
  if (!shards.ok()) return shards.status();
  for (ShardId shard : *shards) {
    if (shard.value() < writers_.size() || needed.contains(shard)) continue;
    if (absl::Status status = directory_->RemoveLog(shard); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void TestNode::Stop() {
  group_.clear();  // a full disk may have left it behind: nothing of it may ever be found
  group_shard_.reset();
  writers_.clear();
  directory_.reset();
}

}  // namespace bettong::wal
