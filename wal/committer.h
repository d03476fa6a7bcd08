// What happens to a shard's records one after the other, whoever has the time to wait for a disk: a
// thread in production (wal/commit_thread.h), a scheduled task in the simulator. Blocking.
//
// One or more writers, each with some of the partitions: one on a machine's own disk; one for each
// partition in the shape that a topic has. A record is durable when all its sections are.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "wal/log.h"
#include "wal/rounds.h"
#include "wal/segment_writer.h"

namespace bettong::wal {

class Committer {
 public:
  struct Writer {
    std::unique_ptr<SegmentWriter> segments;
    std::vector<PartitionId> partitions;
  };

  // `rounds` is the node's, and outlives it.
  Committer(std::vector<Writer> writers, Rounds& rounds);

  // Makes the record durable. kResourceExhausted: the disk is full, the same record is to be given
  // again. Any other error: nothing will be durable any more.
  absl::Status Commit(const LogRecord& record);
  // To be called when there is nothing to commit: prepares the next segment, in pieces, and removes
  // what no partition needs. True: there is more to do. The disk being full is no error here.
  absl::StatusOr<bool> Tidy();
  // Nothing has come for a while: a marker vouches for the records before it.
  absl::Status Mark();
  bool needs_mark() const { return needs_mark_; }
  // The disk is known to be full.
  bool full() const { return full_; }

  const LogStats& stats() const { return stats_; }

 private:
  struct Log {
    Writer writer;
    std::vector<Section> sections;  // of the record at hand
    bool done = false;              // it has them
  };

  absl::Status CommitTo(Log& log);
  absl::Status Trim(Log& log);
  void NoteRounds(const Log& log);
  void NoteStats();

  SectionSorter sorter_;  // of the record at hand
  std::vector<Log> logs_;
  std::vector<size_t> log_of_partition_;
  Rounds& rounds_;
  std::vector<SegmentNumber> begun_in_;  // by partition: where the round under way begins
  std::vector<SegmentNumber> needed_;    // by partition: where the last whole one begins; 0: none
  bool retrying_ = false;
  bool trim_ = false;
  bool full_ = false;
  bool needs_mark_ = false;
  LogStats stats_;
};

}  // namespace bettong::wal
