#include "wal/open_logs.h"

#include <string>
#include <utility>

#include "base/check.h"

namespace bettong::wal {
namespace {

absl::Status CommitOpens(SegmentWriter& writer, ShardId shard, const HistoryEnd& end,
                         const OpenLogsOptions& options) {
  std::vector<std::string> entries(end.partitions.size());
  std::vector<Section> sections;
  for (size_t i = 0; i < end.partitions.size(); ++i) {
    const PartitionId partition(static_cast<uint16_t>(i));
    if (options.shard_of(partition) != shard) continue;
    EncodeOpen(
        {.continues = end.partitions[i].epoch, .cut_sequence = end.partitions[i].last_sequence},
        entries[i]);
    sections.push_back({.partition = partition,
                        .kind = SectionKind::kOpen,
                        .sequence = 1,
                        .now_ms = options.now_ms,
                        .entries = entries[i]});
  }
  return sections.empty() ? absl::OkStatus() : writer.Commit(sections).status();
}

}  // namespace

absl::StatusOr<OpenedLogs> OpenLogs(FileSystem& files, const DataDirectory& directory,
                                    const HistoryEnd& end, const OpenLogsOptions& options) {
  BETTONG_CHECK(options.shards > 0 && options.shards <= kShardsMax);
  BETTONG_CHECK(end.partitions.size() == directory.node().partitions);
  OpenedLogs logs{Epoch(end.last_epoch.value() + 1), {}};
  for (uint32_t i = 0; i < options.shards; ++i) {
    const ShardId shard(static_cast<uint16_t>(i));
    const LogTail log = end.LogOf(shard);
    auto writer = SegmentWriter::Open({.files = &files,
                                       .directory = directory.ShardPath(shard),
                                       .node = directory.node().node,
                                       .shard = shard,
                                       .epoch = logs.epoch,
                                       .first = log.next_segment,
                                       .end_before = log.last_lsn,
                                       .segment_bytes = WholeBlocks(options.segment_bytes),
                                       .spare_segments_max = options.spare_segments_max});
    if (!writer.ok()) return writer.status();
    logs.writers.push_back(*std::move(writer));
  }
  for (uint32_t i = 0; i < options.shards; ++i) {
    const ShardId shard(static_cast<uint16_t>(i));
    absl::Status status = CommitOpens(*logs.writers[i], shard, end, options);
    if (!status.ok()) return status;
  }
  // A marker in each: it vouches for the record before, and proves that all of them are there.
  for (const std::unique_ptr<SegmentWriter>& writer : logs.writers) {
    if (absl::Status status = writer->Commit({}).status(); !status.ok()) return status;
  }
  return logs;
}

}  // namespace bettong::wal
