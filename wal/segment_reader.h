// Reads the segments of one shard's directory, record by record, and says where and why they end.
// Never writes. Reads in large pieces into one buffer, as large as the largest record.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "wal/format.h"

namespace bettong::wal {

struct SegmentInfo {
  std::string path;
  SegmentHeader header;
};

// Headers of all segments of the directory, by number. An error (kDataLoss) for a header that is
// damaged, of another node or version, or out of place, for a gap between numbers, and for a file
// that is shorter than its header says.
absl::StatusOr<std::vector<SegmentInfo>> ListSegments(FileSystem& files,
                                                      const std::string& directory,
                                                      const NodeUuid& node, ShardId shard);

// The file `durable` of a shard's directory; nullopt if it is missing, damaged or of another shard.
absl::StatusOr<std::optional<DurableMark>> ReadDurableMark(FileSystem& files,
                                                           const std::string& directory,
                                                           ShardId shard);

struct Record {
  RecordHeader header;
  SegmentNumber segment;
  uint64_t offset = 0;        // of the header in the segment's file
  std::string_view sections;  // good until the next call
};

struct RecordPlace {
  SegmentNumber segment;
  uint64_t offset = 0;
  RecordHeader header;
};

// Where the records of a run of segments of one epoch end.
struct LogEnd {
  enum class Kind : uint8_t {
    kClean,  // nothing but zeros or older use behind the last record
    kTorn,   // the beginning of a record that is not whole, above every durable lsn known
    kCorrupt,
  };
  Kind kind = Kind::kClean;
  Lsn last;  // the last good record; 0: none
  SegmentNumber segment;
  uint64_t offset = 0;  // of the first byte that is no good record
  std::string message;  // kTorn, kCorrupt: file, offset, what was expected and what is there
  // Good records of which nothing says that they have ever been synced: they may be in memory only.
  std::vector<RecordPlace> unproven;
};

// Goes through the segments of one epoch in one shard's directory.
class SegmentReader {
 public:
  // `segments` are consecutive and of one epoch; at least one. `required_end` is given for a run
  // that a later epoch follows in the same log: the lsn with which it ends, by the later one's
  // header.
  SegmentReader(FileSystem& files, std::vector<SegmentInfo> segments,
                std::optional<Lsn> required_end);
  ~SegmentReader();

  // The next good record, or nullopt at the end (see End()). Errors are the file system's.
  absl::StatusOr<std::optional<Record>> Next();
  // After Next answered nullopt. Looks behind the bad record, and into the file `durable`, for the
  // highest durable lsn, to tell a torn tail from corruption.
  absl::StatusOr<LogEnd> End();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::wal
