// Files that are ready to become segments of one shard's log: written over once and synced, or
// segments that are not needed any more. Owned by the shard's SegmentWriter.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/format.h"

namespace bettong::wal {

class SegmentPool {
 public:
  // A file of which every byte has been written and synced before.
  struct ReadyFile {
    std::string path;
    std::unique_ptr<File> file;
    uint64_t file_bytes = 0;
  };

  SegmentPool(FileSystem& files, std::string directory, uint64_t segment_bytes, size_t spares_max);

  // Takes over the spares that an earlier process has left, of the directory's `names`.
  absl::Status Adopt(const std::vector<std::string>& names);

  // Writes over up to `bytes_max` more of the next segment's file and syncs them; a spare needs
  // none of it. An error leaves everything so that this may be called again.
  absl::Status Prepare(uint64_t bytes_max);
  bool ready() const { return next_.done == segment_bytes_; }
  // Valid while ready(). Whoever renames it into place says so.
  ReadyFile& next() { return next_.ready; }
  void NextIsTaken() { next_ = {}; }

  // A segment of its own size, for a record that fits in no other.
  absl::StatusOr<ReadyFile> MakeLarge(uint64_t file_bytes);

  // Removes a segment, durably; it becomes a spare if there is room for one.
  absl::Status Retire(SegmentNumber number);

 private:
  struct Preparation {
    ReadyFile ready;
    uint64_t done = 0;  // bytes written over and synced
  };

  absl::Status Open(Preparation& preparation, std::string_view name, uint64_t file_bytes);
  absl::Status WriteOver(Preparation& preparation, uint64_t bytes_max);
  std::string PathOf(std::string_view name) const { return directory_ + "/" + std::string(name); }

  FileSystem& files_;
  const std::string directory_;
  const uint64_t segment_bytes_;
  const size_t spares_max_;
  Preparation next_;
  std::vector<std::string> spares_;  // paths
};

}  // namespace bettong::wal
