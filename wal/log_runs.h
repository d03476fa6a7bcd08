// The segments of a data directory, as runs: those of one epoch in one shard's log.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <vector>

#include "base/file_system.h"
#include "wal/data_directory.h"
#include "wal/format.h"
#include "wal/segment_reader.h"

namespace bettong::wal {

struct LogRun {
  ShardId shard;
  Epoch epoch;
  std::vector<SegmentInfo> segments;
  // The lsn with which it ends, by the header of the epoch behind it; nullopt: it is its log's
  // last.
  std::optional<Lsn> required_end;

  // Nothing has been removed from its beginning.
  bool whole() const { return segments.front().header.first_lsn == Lsn(1); }
  uint64_t bytes() const;
};

struct LogRuns {
  std::vector<ShardId> shards;  // that have a directory, in order
  std::vector<LogRun> runs;     // by epoch, then shard
};

absl::StatusOr<LogRuns> ListRuns(FileSystem& files, const DataDirectory& directory);

}  // namespace bettong::wal
