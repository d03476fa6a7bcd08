// Writes one shard's log: records into segments, each group made durable by one sync. Blocking;
// owned by whoever commits (the commit thread in production, a scheduled task in the simulator),
// never by a shard's thread.
//
// After an error other than kResourceExhausted the writer is broken: it answers the same error to
// everything, for what is on disk is not known any more. A full disk breaks nothing: what failed
// has left no record behind and may be tried again.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file_system.h"
#include "wal/format.h"

namespace bettong::wal {

struct SegmentWriterOptions {
  FileSystem* files = nullptr;
  std::string directory;  // of this shard; made if it is missing
  NodeUuid node{};
  ShardId shard;
  Epoch epoch;          // above every epoch in the data directory: HistoryEnd::last_epoch + 1
  SegmentNumber first;  // the first segment to write: one more than any that is there
  Lsn end_before;       // where the log ended up to now: LogTail::last_lsn
  uint64_t segment_bytes = kSegmentBytesDefault;
  // Removed segments kept to be used again: their blocks need not be written over first.
  size_t spare_segments_max = 2;
};

class SegmentWriter {
 public:
  // Makes the first segment, its directory entry and the file `durable`, all of it durable. After
  // an error the same may be tried again.
  static absl::StatusOr<std::unique_ptr<SegmentWriter>> Open(SegmentWriterOptions options);
  ~SegmentWriter();

  // Writes one record of the given sections; it is durable when this answers OK. `sections` empty:
  // a marker. Returns its lsn (1, 2, 3, ...). The sections' sequences have no gaps, and open
  // sections come before all others of the epoch; anything else is a bug, and crashes.
  absl::StatusOr<Lsn> Commit(std::span<const Section> sections);

  // Prepares the next segment if there is none yet, writing over up to `bytes_max` of it: called by
  // the owner when it has nothing to commit, and at the latest by Commit itself.
  // kResourceExhausted: the disk is full; what is left of the current segment can still be written.
  absl::Status PrepareNextSegment(uint64_t bytes_max = UINT64_MAX);
  bool next_segment_ready() const;
  uint64_t current_segment_room() const;  // bytes that records may still take in it

  // Removes segments below `keep_from`, oldest first; some of them become spare. The current one
  // always stays.
  absl::Status RemoveBelow(SegmentNumber keep_from);

  SegmentNumber oldest_segment() const;
  SegmentNumber current_segment() const;
  Lsn durable_lsn() const;
  uint64_t bytes_written() const;  // records with their padding, since Open

 private:
  struct Impl;
  explicit SegmentWriter(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::wal
