// A file system in memory for tests and the simulator, as unreliable as a real one is allowed to
// be. Production code never uses it. One thread; the same seed and calls give the same outcome.
//
// It keeps, per file and per directory, what the page cache holds (reads answer from it) and what
// the disk holds. Between a write and the sync behind it every sector of 512 bytes may go either
// way: Crash() leaves it as it was, as it is, as it was in between, or torn; a failed sync writes
// some and forgets the rest, as Linux does: reads still see them until the pages are evicted.
// The one thing it grants is that a torn sector holds, byte for byte, what was there before or
// what was written.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"

namespace bettong {

class SimulatedDisk : public FileSystem {
 public:
  static constexpr size_t kSectorBytes = 512;

  enum class Operation : uint8_t {
    kOpen,
    kRead,
    kWrite,
    kSync,
    kTruncate,
    kSize,
    kRename,
    kRemove,
    kMakeDirectory,
    kList,
    kSyncDirectory,
    kLock,
    kCount,
  };
  struct Call {
    uint64_t number = 0;  // 1, 2, 3, ... since the disk was made
    Operation operation{};
    std::string_view path;
    uint64_t offset = 0, bytes = 0;  // reads and writes
  };
  // Called before each operation; an error makes it fail in its own way: a write has written
  // any part of its bytes, a sync has forgotten some, anything else has not happened.
  using Hook = std::function<absl::Status(const Call&)>;
  using Image = std::map<std::string, std::string>;  // contents by path

  explicit SimulatedDisk(uint64_t seed);
  ~SimulatedDisk() override;
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  absl::Status SyncDirectory(const std::string& directory) override;
  absl::StatusOr<std::unique_ptr<File>> Lock(const std::string& path) override;

  void set_hook(Hook hook) { hook_ = std::move(hook); }
  // Files that grow beyond it fail with kResourceExhausted.
  void set_capacity_bytes(uint64_t bytes) { capacity_bytes_ = bytes; }
  uint64_t used_bytes() const;
  uint64_t operations() const { return operations_; }
  uint64_t operations(Operation operation) const {
    return operations_by_kind_[static_cast<size_t>(operation)];
  }

  // The power fails: open files are dead (they answer kAborted), locks free.
  void Crash();
  // The process ends: nothing that was written is lost, but pages that a failed sync left behind
  // may be evicted.
  void Kill();
  void EvictCleanPages();

  // What reads would answer, and damage; without hook or count. SetContents makes the file and its
  // directories if they are missing; all of it is durable.
  std::vector<std::string> Files() const;
  std::string Contents(const std::string& path) const;
  void SetContents(const std::string& path, std::string bytes);
  // Whether the sector with this byte has been written to since the last Crash.
  bool Written(const std::string& path, uint64_t offset) const;
  void FlipBit(const std::string& path, uint64_t bit);
  Image TakeImage() const;  // files only
  void LoadImage(const Image& image);

 private:
  struct Inode;
  class OpenFile;
  class HeldLock;
  // What has become of a directory's entries since it was synced.
  struct EntryChange {
    enum class Kind : uint8_t { kCreate, kRename, kRemove, kMakeDirectory } kind{};
    std::string path, to;
    std::shared_ptr<Inode> inode;
  };

  absl::Status Begin(Operation operation, std::string_view path, uint64_t offset = 0,
                     uint64_t bytes = 0);
  void Persist(const EntryChange& change);
  void EndProcess();
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  std::mt19937_64 random_;
  Hook hook_;
  uint64_t capacity_bytes_ = UINT64_MAX;
  uint64_t operations_ = 0;
  std::array<uint64_t, static_cast<size_t>(Operation::kCount)> operations_by_kind_{};
  uint64_t process_ = 0;  // files opened by an earlier one are dead

  std::map<std::string, std::shared_ptr<Inode>> files_, files_on_disk_;
  std::set<std::string> directories_, directories_on_disk_;
  std::vector<EntryChange> changes_;
  std::set<std::string> locks_;
};

}  // namespace bettong
