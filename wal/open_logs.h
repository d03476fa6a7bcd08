// Begins a new epoch: a writer per shard, and every partition's open section, all of it durable.
//
// It is one step because a reader relies on it: no record without open sections is written in an
// epoch, in any log, before all partitions are opened in it. So such a record proves that they
// were, and a log that has gone missing is noticed (docs/log-format.md).
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/file_system.h"
#include "wal/data_directory.h"
#include "wal/history.h"
#include "wal/segment_writer.h"

namespace bettong::wal {

struct OpenLogsOptions {
  uint32_t shards = 1;
  std::function<ShardId(PartitionId)> shard_of;
  TimeMs now_ms = 0;  // of the open sections; not below any PartitionTail's
  uint64_t segment_bytes = kSegmentBytesDefault;
  size_t spare_segments_max = 2;
};

struct OpenedLogs {
  Epoch epoch;
  std::vector<std::unique_ptr<SegmentWriter>> writers;  // by shard
};

// `end` is what Replay answered; Settle has been called. After this each partition's next section
// has sequence 2. After an error the process starts again from History::Open.
absl::StatusOr<OpenedLogs> OpenLogs(FileSystem& files, const DataDirectory& directory,
                                    const HistoryEnd& end, const OpenLogsOptions& options);

}  // namespace bettong::wal
