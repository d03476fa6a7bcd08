// The file system as tools see it that read a log which a node may be writing to: nothing can be
// changed, and the files `durable` are as they were before anything else was read, so that none of
// them speaks of a record that was written later.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace bettong::wal {

class ToolFiles final : public FileSystem {
 public:
  // Reads the files `durable` of the data directory, if there are any.
  ToolFiles(FileSystem& files, const std::string& directory);

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    return files_.List(directory);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& directory) override;
  absl::StatusOr<std::unique_ptr<File>> Lock(const std::string& path) override;

 private:
  FileSystem& files_;
  std::map<std::string, std::string> kept_;  // contents by path
};

}  // namespace bettong::wal
