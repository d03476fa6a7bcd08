// The data directory of a node: its lock, its identity, and the logs in it. Locked as long as it
// lives.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "wal/format.h"

namespace bettong::wal {

struct NodeFile {
  NodeUuid node{};
  uint32_t partitions = 0;
};

class DataDirectory {
 public:
  // Locks the directory, making it (with a NODE file: `fresh`) if it is missing or empty. An error
  // says who holds the lock, what of NODE is not understood, or what else lies there.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(FileSystem& files, std::string path,
                                                             const NodeFile& fresh);
  // For tools: neither locks nor makes anything.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> OpenToRead(FileSystem& files,
                                                                   std::string path);

  const std::string& path() const { return path_; }
  const NodeFile& node() const { return node_; }
  std::string ShardPath(ShardId shard) const;
  // The shards that have a directory, in order.
  absl::StatusOr<std::vector<ShardId>> Shards() const;
  // Removes the log of a shard that is no more, when no partition needs anything in it.
  absl::Status RemoveLog(ShardId shard);

  // Moves all logs, as they are, into a new folder lost-NNNN, and answers its path. Until
  // KeepNewLogs this can be undone, and is by the next start.
  absl::StatusOr<std::string> SetLogsAside();
  absl::Status KeepNewLogs();
  // If logs were set aside and the new ones were not kept: puts the old ones back.
  absl::Status UndoSetAside();

 private:
  DataDirectory(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  std::string PathOf(std::string_view name) const { return path_ + "/" + std::string(name); }
  absl::Status Make(const NodeFile& fresh, const std::vector<std::string>& names);

  FileSystem& files_;
  std::string path_;
  NodeFile node_;
  std::unique_ptr<File> lock_;
};

}  // namespace bettong::wal
