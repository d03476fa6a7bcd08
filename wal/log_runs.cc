#include "wal/log_runs.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "wal/errors.h"

namespace bettong::wal {
namespace {

absl::Status AddRuns(FileSystem& files, const DataDirectory& directory, ShardId shard,
                     std::vector<LogRun>& runs) {
  const std::string path = directory.ShardPath(shard);
  absl::StatusOr<std::vector<SegmentInfo>> segments =
      ListSegments(files, path, directory.node().node, shard);
  if (!segments.ok()) return segments.status();
  Epoch last;
  for (SegmentInfo& segment : *segments) {
    const SegmentHeader& header = segment.header;
    if (header.epoch != last) {
      if (last != Epoch(0)) runs.back().required_end = header.end_before;
      runs.push_back({shard, header.epoch, {}, std::nullopt});
      last = header.epoch;
    }
    runs.back().segments.push_back(std::move(segment));
  }
  const absl::StatusOr<std::optional<DurableMark>> mark = ReadDurableMark(files, path, shard);
  if (!mark.ok()) return mark.status();
  if (mark->has_value() && (*mark)->epoch > last && (*mark)->lsn > Lsn(0)) {
    return Corruption(path, "/", std::string(kDurableName), " knows of records of epoch ",
                      (*mark)->epoch.value(), ", but no segment is of it");
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t LogRun::bytes() const {
  uint64_t bytes = 0;
  for (const SegmentInfo& segment : segments) bytes += segment.header.file_bytes;
  return bytes;
}

absl::StatusOr<LogRuns> ListRuns(FileSystem& files, const DataDirectory& directory) {
  absl::StatusOr<std::vector<ShardId>> shards = directory.Shards();
  if (!shards.ok()) return shards.status();
  LogRuns all{*std::move(shards), {}};
  for (ShardId shard : all.shards) {
    if (absl::Status status = AddRuns(files, directory, shard, all.runs); !status.ok()) {
      return status;
    }
  }
  std::sort(all.runs.begin(), all.runs.end(), [](const LogRun& a, const LogRun& b) {
    return std::tie(a.epoch, a.shard) < std::tie(b.epoch, b.shard);
  });
  return all;
}

}  // namespace bettong::wal
