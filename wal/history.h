// What of a data directory counts: reads every log, follows each partition's chain of epochs, cuts
// torn tails, refuses corruption, and hands the sections over in an order in which they can be
// applied. See "What a reader does" in docs/log-format.md.
//
// A node that starts calls Open, Replay and Settle, in this order, and only then opens its
// writers. Tools leave Settle out. One thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/data_directory.h"
#include "wal/format.h"

namespace bettong::wal {

// How a partition's history ends: what the next open section has to say.
struct PartitionTail {
  Epoch epoch;                 // 0: the partition has no history
  uint64_t last_sequence = 0;  // in that epoch
  TimeMs now_ms = 0;           // the latest time of its sections
};

// How a shard's log ends: what its next writer has to know.
struct LogTail {
  ShardId shard;
  SegmentNumber next_segment{1};
  Lsn last_lsn;  // of the last epoch in it
};

struct HistoryEnd {
  Epoch last_epoch;                       // the highest of any segment; the next one is above it
  std::vector<PartitionTail> partitions;  // by PartitionId
  std::vector<LogTail> logs;              // of the shards that have a directory, in order
  std::vector<std::string> notes;         // torn tails that were cut, for the node's log

  LogTail LogOf(ShardId shard) const;  // also of one that has none yet
};

struct HistoryProgress {
  uint64_t bytes_done = 0, bytes_total = 0;
};

class History {
 public:
  // Lists segments and reads the open sections: what each partition's chain is. kDataLoss with
  // file, offset, what was expected and what to do, if what is there cannot be.
  static absl::StatusOr<std::unique_ptr<History>> Open(FileSystem& files,
                                                       const DataDirectory& directory);
  ~History();

  // Calls visit for every section that counts, of the partitions for which `wants` holds, in order
  // per partition. `complete_round` in the call is true for sections behind the end of a complete
  // checkpoint round (or of a partition whose history is whole from its beginning): from there on a
  // change without its base is corruption. visit answers an error to stop. kDataLoss where the
  // logs do not hold what they must: what was visited before is not to be used then.
  struct Visit {
    const Section& section;
    Epoch epoch;
    SegmentNumber segment;
    ShardId shard;           // whose log it lies in
    uint64_t record_offset;  // in that segment, for messages
    bool complete_round;
  };
  absl::StatusOr<HistoryEnd> Replay(const std::function<bool(PartitionId)>& wants,
                                    const std::function<absl::Status(const Visit&)>& visit,
                                    const std::function<void(const HistoryProgress&)>& progress);

  // After Replay: makes durable what it has read, before an open section relies on it. The last
  // records may never have reached the disk: the process was killed before its sync, or the sync
  // failed and their pages were forgotten. They are written again, in place, and synced.
  absl::Status Settle();

 private:
  struct Impl;
  explicit History(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::wal
