#include "grid/runtime/recovery.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/key_hash.h"
#include "grid/log_entry.h"
#include "wal/open_logs.h"
#include "wal/salvage.h"

namespace bettong::grid {
namespace {

absl::Status AtSection(const wal::History::Visit& visit, const wal::DataDirectory& directory,
                       const absl::Status& status) {
  return absl::Status(
      status.code(),
      absl::StrCat("recover ", directory.ShardPath(visit.shard), "/",
                   wal::SegmentFileName(visit.segment), ": record at offset ", visit.record_offset,
                   ", section ", visit.section.sequence, " of partition ",
                   visit.section.partition.value(), ": ", status.message()));
}

// Before anything is written anywhere.
absl::Status CheckAllRead(std::span<Shard* const> shards, const wal::DataDirectory& directory,
                          const Migrate& migrate) {
  for (const Shard* shard : shards) {
    const absl::Status status = shard->CheckAllRead(migrate);
    if (status.ok()) continue;
    return absl::Status(status.code(),
                        absl::StrCat("recover ", directory.path(), ": ", status.message()));
  }
  return absl::OkStatus();
}

// Watermarks belong to the node: each shard has noted what it saw.
void ShareWatermarks(std::span<Shard* const> shards) {
  std::map<StreamId, TimeMs> highest;
  for (Shard* shard : shards) {
    for (const auto& [stream, watermark_ms] : shard->KnownWatermarks()) {
      TimeMs& at = highest.try_emplace(stream, watermark_ms).first->second;
      at = std::max(at, watermark_ms);
    }
  }
  for (Shard* shard : shards) {
    for (const auto& [stream, watermark_ms] : highest) {
      if (watermark_ms != kNoTime) shard->RestoreWatermark(stream, watermark_ms);
    }
  }
}

// So do positions of channels, for whoever is no partition's.
void ShareRecoveredEnds(std::span<Shard* const> shards) {
  auto ends = std::make_shared<RecoveredEnds>();
  for (const Shard* shard : shards) shard->AddRecoveredEnds(*ends);
  for (Shard* shard : shards) shard->SetRecoveredEnds(ends);
}

// Numbers of outputs of a partition that has lost some go on so far above: none is given twice.
constexpr uint64_t kLostOutputsMax = uint64_t{1} << 40;
constexpr size_t kImageBytesPerStep = 1u << 20;

// Whether the log is damaged, as far as that can be told without applying it.
absl::Status Judge(FileSystem& files, const wal::DataDirectory& directory) {
  auto history = wal::History::Open(files, directory);
  if (!history.ok()) return history.status();
  return (*history)
      ->Replay([](PartitionId) { return false; },
               [](const wal::History::Visit&) { return absl::OkStatus(); }, {})
      .status();
}

// What a partition that has lost something must not go on from.
absl::Status ForgetWhatIsLost(Shard& shard, PartitionId partition, const SlotMap& slot_map,
                              TimeMs now_ms, std::span<const std::string> sinks) {
  std::string entries;
  ByteWriter out(entries);
  out.Fixed(LogEntryKind::kSequences);
  out.Varint(shard.last_output(partition) + kLostOutputsMax);
  for (const std::string& sink : sinks) {
    if (slot_map.PartitionOf(SlotOfKey(sink)) != partition) continue;
    out.Fixed(LogEntryKind::kEndpoint);
    out.Bytes(sink);
    out.Bytes({});
  }
  return shard.Apply({.partition = partition, .now_ms = now_ms, .entries = entries});
}

// All that the shard holds becomes the beginning of its new log.
absl::Status WriteWhole(Shard& shard, wal::Committer& committer, const RecoveredOutbox& outbox) {
  wal::LogRecord record;
  const auto commit = [&] {
    ++record.number;
    shard.TakeRecord(record);
    const absl::Status status = committer.Commit(record);
    shard.Recycle(record);
    return status;
  };
  shard.BeginRound();
  for (bool written = false; !written;) {
    written = shard.WriteImages(kImageBytesPerStep);
    if (shard.recorded_bytes() < kImageBytesPerStep) continue;
    if (absl::Status status = commit(); !status.ok()) return status;
  }
  shard.WriteEmitted(outbox.outputs, outbox.inputs, outbox.bytes);
  shard.EndRound();
  return commit();
}

void NoteUnknownStreams(std::span<const RecoveredOutbox> outboxes, RecoveredNode& node) {
  std::map<std::string, size_t> dropped;
  for (const RecoveredOutbox& outbox : outboxes) {
    for (const std::string& stream : outbox.unknown_streams) ++dropped[stream];
  }
  for (const auto& [stream, count] : dropped) {
    node.notes.push_back(absl::StrCat(count, " outputs of stream '", stream,
                                      "' are dropped: no app declares it any more"));
  }
}

}  // namespace

absl::StatusOr<RecoveredNode> Recover(FileSystem& files, wal::DataDirectory& directory,
                                      std::span<Shard* const> shards, const SlotMap& slot_map,
                                      const RecoveryOptions& options) {
  RecoveredNode node;
  if (absl::Status status = directory.UndoSetAside(); !status.ok()) return status;
  std::unique_ptr<wal::Salvage> salvage;
  if (options.accept_loss) {
    const absl::Status judged = Judge(files, directory);
    if (absl::IsDataLoss(judged)) {
      node.notes.push_back(absl::StrCat("the log is damaged: ", judged.message()));
      auto read = wal::Salvage::Read(files, directory);
      if (!read.ok()) return read.status();
      salvage = *std::move(read);
    } else if (!judged.ok()) {
      return judged;
    }
  }
  const auto progress = [&](const wal::HistoryProgress& at) {
    node.log_bytes = at.bytes_total;
    if (options.progress) options.progress(at);
  };
  const auto apply = [&](const wal::History::Visit& visit) -> absl::Status {
    Shard& shard = *shards[slot_map.ShardOf(visit.section.partition).value()];
    ++node.sections;
    const absl::Status status = shard.Apply(visit.section, visit.complete_round);
    return status.ok() ? status : AtSection(visit, directory, status);
  };
  absl::StatusOr<wal::HistoryEnd> end = wal::HistoryEnd{};
  TimeMs now_ms = options.now_ms;
  if (salvage != nullptr) {
    if (absl::Status status = salvage->Replay(apply); !status.ok()) return status;
    if (absl::Status status = CheckAllRead(shards, directory, options.migrate); !status.ok())
      return status;
    now_ms = std::max(now_ms, salvage->now_ms());
    for (uint16_t i = 0; i < slot_map.partitions(); ++i) {
      const PartitionId partition(i);
      if (!salvage->cut(partition)) continue;
      absl::Status status = ForgetWhatIsLost(*shards[slot_map.ShardOf(partition).value()],
                                             partition, slot_map, now_ms, options.sink_endpoints);
      if (!status.ok()) return status;
    }
    node.log_bytes = salvage->bytes();
    const auto& notes = salvage->notes();
    node.notes.insert(node.notes.end(), notes.begin(), notes.end());
    auto aside = directory.SetLogsAside();
    if (!aside.ok()) return aside.status();
    node.notes.push_back(absl::StrCat(
        "--accept-loss: the node goes on with what is named above lost. The log as it was is kept "
        "in ",
        *aside, "; nothing needs it any more"));
    // Every partition begins anew, in an epoch that there has not been.
    end->last_epoch = salvage->last_epoch();
    end->partitions.resize(slot_map.partitions());
  } else {
    auto history = wal::History::Open(files, directory);
    if (!history.ok()) return history.status();
    end = (*history)->Replay([](PartitionId) { return true; }, apply, progress);
    if (!end.ok()) return end.status();
    if (absl::Status status = CheckAllRead(shards, directory, options.migrate); !status.ok())
      return status;
    node.notes = end->notes;
    node.fresh = end->last_epoch.value() == 0;
    if (absl::Status settled = (*history)->Settle(); !settled.ok()) return settled;
  }
  for (const wal::PartitionTail& tail : end->partitions) now_ms = std::max(now_ms, tail.now_ms);
  const auto log_of = [&](PartitionId partition) {
    return options.log_per_partition ? ShardId(partition.value()) : slot_map.ShardOf(partition);
  };
  const uint32_t logs = options.log_per_partition ? slot_map.partitions() : slot_map.shards();
  auto opened = wal::OpenLogs(files, directory, *end,
                              {.shards = logs,
                               .shard_of = log_of,
                               .now_ms = now_ms,
                               .segment_bytes = options.segment_bytes});
  if (!opened.ok()) return opened.status();
  node.epoch = opened->epoch;
  // With another number of logs, those beyond it hold nothing but what is in the rounds then.
  node.rounds = std::make_unique<wal::Rounds>(slot_map.partitions(), [&directory, logs] {
    const absl::StatusOr<std::vector<ShardId>> there = directory.Shards();
    if (!there.ok()) return;  // they are found again when the node starts the next time
    for (ShardId log : *there) {
      if (log.value() >= logs && !directory.RemoveLog(log).ok()) return;
    }
  });
  std::vector<std::vector<wal::Committer::Writer>> writers(shards.size());
  for (uint32_t i = 0; i < logs; ++i) {
    wal::Committer::Writer writer{std::move(opened->writers[i]), {}};
    ShardId owner(static_cast<uint16_t>(i));
    for (uint16_t p = 0; p < slot_map.partitions(); ++p) {
      if (log_of(PartitionId(p)).value() != i) continue;
      writer.partitions.push_back(PartitionId(p));
      owner = slot_map.ShardOf(PartitionId(p));
    }
    writers[owner.value()].push_back(std::move(writer));
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    node.committers.push_back(
        std::make_unique<wal::Committer>(std::move(writers[i]), *node.rounds));
    shards[i]->FinishRecovery(node.epoch, now_ms, node.outboxes.emplace_back());
    if (salvage != nullptr) {
      absl::Status status = WriteWhole(*shards[i], *node.committers[i], node.outboxes[i]);
      if (!status.ok()) return status;
    }
    if (options.grace_ms > 0 && !node.fresh) shards[i]->SpareUntil(now_ms + options.grace_ms);
  }
  if (salvage != nullptr) {
    if (absl::Status status = directory.KeepNewLogs(); !status.ok()) return status;
  }
  ShareWatermarks(shards);
  ShareRecoveredEnds(shards);
  NoteUnknownStreams(node.outboxes, node);
  return node;
}

}  // namespace bettong::grid
