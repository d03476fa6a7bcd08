// What can be kept of a log that History refuses: reads every record that is whole, wherever it
// lies, and gives each partition as much of its history as hangs together. For `--accept-loss`;
// changes nothing. One thread.
//
// A partition whose last sections follow each other without a gap, from its beginning or with a
// whole round of the checkpoint among them, has lost nothing. Any other is as it was before the
// gap: what comes behind one is dropped, for nobody knows what it builds on.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/data_directory.h"
#include "wal/format.h"
#include "wal/history.h"

namespace bettong::wal {

class Salvage {
 public:
  // Reads all segments. An error for what is not damage: a file that can't be read, another format
  // version.
  static absl::StatusOr<std::unique_ptr<Salvage>> Read(FileSystem& files,
                                                       const DataDirectory& directory);

  // Calls visit for every section that is kept, partition by partition, in order.
  absl::Status Replay(const std::function<absl::Status(const History::Visit&)>& visit);

  Epoch last_epoch() const { return last_epoch_; }  // the highest of any record
  TimeMs now_ms() const { return now_ms_; }         // the latest time of any section
  uint64_t bytes() const { return bytes_; }
  // Whether the partition has lost something, or may have.
  bool cut(PartitionId partition) const { return partitions_[partition.value()].cut; }
  // What is damaged and what is lost, in words.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct Place {
    Epoch epoch;
    uint64_t sequence = 0;
    uint32_t file = 0;
    uint32_t bytes = 0;   // of the section
    uint64_t record = 0;  // offsets in the file
    uint64_t offset = 0;
    TimeMs now_ms = 0;
    SectionKind kind = SectionKind::kData;
    CheckpointEndEntry end;  // of a kCheckpointEnd
  };
  struct SegmentFile {
    std::string path;
    ShardId shard;
    SegmentNumber number;
  };
  struct Partition {
    std::vector<Place> places;
    std::map<Epoch, OpenEntry> opens;
    // What is kept of `places`, and from where on it is whole.
    size_t begin = 0, end = 0, whole_from = 0;
    bool cut = false;
  };
  struct Seen {  // records of one epoch in one log
    Lsn last, durable;
    std::string where;  // the end of the last one
  };

  Salvage(FileSystem& files, size_t partitions) : files_(files), partitions_(partitions) {}
  absl::Status ReadLog(const DataDirectory& directory, ShardId shard);
  absl::Status ReadFile(const SegmentFile& file, const NodeUuid& node, std::map<Epoch, Seen>& seen);
  void TakeRecord(const RecordHeader& header, uint32_t file, uint64_t offset,
                  std::string_view sections);
  void Choose(PartitionId id);

  FileSystem& files_;
  std::vector<Partition> partitions_;
  std::vector<SegmentFile> segments_;
  Epoch last_epoch_;
  Epoch opened_;  // in which all partitions are known to have been opened
  TimeMs now_ms_ = 0;
  uint64_t bytes_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace bettong::wal
