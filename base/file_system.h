// What the log and the file sinks need of a file system, so that the simulator can put a disk of
// its own underneath (base/simulated_disk.h): one that tears, loses and reorders what was not
// synced.
//
// Errors say what was tried on what ("open data/shard-03/00000012.log: No space left on device");
// their codes are absl::ErrnoToStatusCode's: kResourceExhausted is a full disk (or the process's
// limit on the size of files), kNotFound a missing file. Used from any thread; one File from one
// thread at a time.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bettong {

// Of a file that is opened with OpenDirect.
inline constexpr uint64_t kBlockBytes = 4096;

// What so many bytes take in whole blocks.
constexpr uint64_t WholeBlocks(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

class File {
 public:
  virtual ~File() = default;

  // Fills `into` whole; kOutOfRange where the file ends before.
  virtual absl::Status ReadAt(uint64_t offset, std::span<char> into) = 0;
  // Writes the parts one behind the other, all of them or an error (after which some bytes may have
  // been written). Behind the file's end it grows.
  virtual absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> parts) = 0;
  // fdatasync, never repeated: after an error nothing may be believed about what was written.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(uint64_t bytes) = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
};

enum class OpenMode : uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // must not exist
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // For a file of whole blocks (kBlockBytes) that is written from front to back, not to be read
  // soon: past the page cache, where the file system lets us. What lies behind a write, up to the
  // end of its block, may become zeros.
  virtual absl::StatusOr<std::unique_ptr<File>> OpenDirect(const std::string& path, OpenMode mode) {
    return Open(path, mode);
  }
  // Replaces `to` if it exists.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // A file, or an empty directory.
  virtual absl::Status Remove(const std::string& path) = 0;
  // With its parents; those made on the way are durable, the last one is when its parent has been
  // synced. No error if it exists.
  virtual absl::Status MakeDirectory(const std::string& path) = 0;
  // Names without the path, sorted; kNotFound if there is no such directory.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& directory) = 0;
  // Makes creations, renames and removals in it durable.
  virtual absl::Status SyncDirectory(const std::string& directory) = 0;
  // Makes the file if it is missing. Held until the File is destroyed or the process ends;
  // kAlreadyExists, with the holder's process id, if another holds it.
  virtual absl::StatusOr<std::unique_ptr<File>> Lock(const std::string& path) = 0;
};

// "a/b" of "a/b/c", "." of "c", "/" of "/c".
std::string ParentDirectory(std::string_view path);

// The machine's own.
std::unique_ptr<FileSystem> MakePosixFileSystem();

}  // namespace bettong
