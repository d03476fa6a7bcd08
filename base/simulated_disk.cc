#include "base/simulated_disk.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/simulation.h"

namespace bettong {
namespace {

constexpr size_t kSector = SimulatedDisk::kSectorBytes;

std::string SectorOf(const std::string& bytes, uint64_t sector) {
  if (sector * kSector >= bytes.size()) return {};
  return bytes.substr(sector * kSector, kSector);
}

void SetSector(std::string& bytes, uint64_t sector, std::string_view content) {
  if (sector * kSector >= bytes.size()) return;
  const size_t size = std::min(content.size(), bytes.size() - sector * kSector);
  bytes.replace(sector * kSector, size, content.substr(0, size));
}

absl::Status ErrorOf(int error, const char* what, const std::string& path) {
  return absl::ErrnoToStatus(error, absl::StrCat(what, " ", path));
}

}  // namespace

struct SimulatedDisk::Inode {
  std::string cached, on_disk;
  // Sectors written since the last sync: what each has been, oldest first.
  std::map<uint64_t, std::vector<std::string>> dirty;
  std::set<uint64_t> written;  // since the last crash
  // Sectors that a failed sync has marked clean without writing them.
  std::set<uint64_t> forgotten;

  void Write(uint64_t offset, std::string_view bytes) {
    if (bytes.empty()) return;
    if (cached.size() < offset + bytes.size()) cached.resize(offset + bytes.size());
    cached.replace(offset, bytes.size(), bytes);
    const uint64_t last = (offset + bytes.size() - 1) / kSector;
    for (uint64_t sector = offset / kSector; sector <= last; ++sector) {
      dirty[sector].push_back(SectorOf(cached, sector));
      forgotten.erase(sector);
      written.insert(sector);
    }
  }

  void Sync() {
    on_disk.resize(cached.size());
    for (const auto& [sector, versions] : dirty) SetSector(on_disk, sector, versions.back());
    dirty.clear();
  }

  void Evict(uint64_t sector) {
    const std::string content = SectorOf(on_disk, sector);
    SetSector(cached, sector, content.empty() ? std::string(kSector, '\0') : content);
  }
};

class SimulatedDisk::OpenFile : public File {
 public:
  OpenFile(SimulatedDisk& disk, std::string path, std::shared_ptr<Inode> inode, bool writable)
      : disk_(disk),
        path_(std::move(path)),
        inode_(std::move(inode)),
        process_(disk.process_),
        writable_(writable) {}

  absl::Status ReadAt(uint64_t offset, std::span<char> into) override {
    if (absl::Status status = Begin(Operation::kRead, offset, into.size()); !status.ok()) {
      return status;
    }
    const std::string& bytes = inode_->cached;
    if (offset > bytes.size() || bytes.size() - offset < into.size()) {
      return absl::OutOfRangeError(absl::StrCat("read ", path_, ": ends at ", bytes.size()));
    }
    std::copy_n(bytes.data() + offset, into.size(), into.data());
    return absl::OkStatus();
  }

  absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> parts) override {
    std::string bytes;
    for (std::string_view part : parts) bytes.append(part);
    if (!writable_) return ErrorOf(EBADF, "write", path_);
    if (absl::Status status = Begin(Operation::kWrite, offset, bytes.size()); !status.ok()) {
      if (Alive()) inode_->Write(offset, std::string_view(bytes).substr(0, Part(bytes.size())));
      return status;
    }
    const uint64_t end = offset + bytes.size(), size = inode_->cached.size();
    const uint64_t used = disk_.used_bytes();
    if (end > size && used + (end - size) > disk_.capacity_bytes_) {
      const uint64_t room = disk_.capacity_bytes_ - std::min(used, disk_.capacity_bytes_);
      if (size + room > offset) {
        inode_->Write(offset, std::string_view(bytes).substr(0, size + room - offset));
      }
      return ErrorOf(ENOSPC, "write", path_);
    }
    inode_->Write(offset, bytes);
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (absl::Status status = Begin(Operation::kSync); !status.ok()) {
      if (Alive()) ForgetSome();
      return status;
    }
    inode_->Sync();
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t bytes) override {
    if (absl::Status status = Begin(Operation::kTruncate); !status.ok()) return status;
    Inode& inode = *inode_;
    inode.cached.resize(bytes);
    inode.dirty.erase(inode.dirty.lower_bound((bytes + kSector - 1) / kSector), inode.dirty.end());
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() override {
    if (absl::Status status = Begin(Operation::kSize); !status.ok()) return status;
    return inode_->cached.size();
  }

 private:
  bool Alive() const { return process_ == disk_.process_; }

  absl::Status Begin(Operation operation, uint64_t offset = 0, uint64_t bytes = 0) {
    if (!Alive()) return absl::AbortedError(absl::StrCat(path_, ": the process has ended"));
    return disk_.Begin(operation, path_, offset, bytes);
  }

  // How much of a failing write comes through: nothing, anything, or all.
  uint64_t Part(uint64_t bytes) {
    switch (disk_.Below(4)) {
      case 0:
        return 0;
      case 1:
        return bytes;
      default:
        return disk_.Below(bytes + 1);
    }
  }

  void ForgetSome() {
    Inode& inode = *inode_;
    if (inode.on_disk.size() < inode.cached.size()) inode.on_disk.resize(inode.cached.size());
    const uint64_t written_of_4 = disk_.Below(5);
    for (const auto& [sector, versions] : inode.dirty) {
      if (disk_.Below(4) < written_of_4) {
        SetSector(inode.on_disk, sector, versions.back());
      } else {
        inode.forgotten.insert(sector);
      }
    }
    inode.dirty.clear();
  }

  SimulatedDisk& disk_;
  const std::string path_;
  const std::shared_ptr<Inode> inode_;
  const uint64_t process_;
  const bool writable_;
};

class SimulatedDisk::HeldLock : public File {
 public:
  HeldLock(SimulatedDisk& disk, std::string path)
      : disk_(disk), path_(std::move(path)), process_(disk.process_) {}
  ~HeldLock() override {
    if (process_ == disk_.process_) disk_.locks_.erase(path_);
  }

  absl::Status ReadAt(uint64_t, std::span<char>) override { return Refuse(); }
  absl::Status WriteAt(uint64_t, std::span<const std::string_view>) override { return Refuse(); }
  absl::Status Sync() override { return Refuse(); }
  absl::Status Truncate(uint64_t) override { return Refuse(); }
  absl::StatusOr<uint64_t> Size() override { return Refuse(); }

 private:
  absl::Status Refuse() const { return absl::UnimplementedError(path_ + ": only a lock"); }

  SimulatedDisk& disk_;
  const std::string path_;
  const uint64_t process_;
};

SimulatedDisk::SimulatedDisk(uint64_t seed) : random_(seed) {
  directories_ = directories_on_disk_ = {".", "/"};
}

SimulatedDisk::~SimulatedDisk() = default;

absl::Status SimulatedDisk::Begin(Operation operation, std::string_view path, uint64_t offset,
                                  uint64_t bytes) {
  ++operations_;
  ++operations_by_kind_[static_cast<size_t>(operation)];
  if (!hook_) return absl::OkStatus();
  return hook_({operations_, operation, path, offset, bytes});
}

absl::StatusOr<std::unique_ptr<File>> SimulatedDisk::Open(const std::string& path, OpenMode mode) {
  if (absl::Status status = Begin(Operation::kOpen, path); !status.ok()) return status;
  auto at = files_.find(path);
  if (mode == OpenMode::kCreate) {
    if (at != files_.end()) return ErrorOf(EEXIST, "create", path);
    if (!directories_.contains(ParentDirectory(path))) return ErrorOf(ENOENT, "create", path);
    at = files_.emplace(path, std::make_shared<Inode>()).first;
    changes_.push_back({EntryChange::Kind::kCreate, path, "", at->second});
  }
  if (at == files_.end()) return ErrorOf(ENOENT, "open", path);
  return std::make_unique<OpenFile>(*this, path, at->second, mode != OpenMode::kRead);
}

absl::Status SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  if (absl::Status status = Begin(Operation::kRename, from); !status.ok()) return status;
  BETTONG_CHECK(ParentDirectory(from) == ParentDirectory(to));
  auto at = files_.find(from);
  if (at == files_.end()) return ErrorOf(ENOENT, "rename", from);
  std::shared_ptr<Inode> inode = std::move(at->second);
  files_.erase(at);
  files_[to] = inode;
  changes_.push_back({EntryChange::Kind::kRename, from, to, std::move(inode)});
  return absl::OkStatus();
}

absl::Status SimulatedDisk::Remove(const std::string& path) {
  if (absl::Status status = Begin(Operation::kRemove, path); !status.ok()) return status;
  if (directories_.contains(path)) {
    const auto below = files_.lower_bound(path + "/");
    if (below != files_.end() && below->first.starts_with(path + "/")) {
      return ErrorOf(ENOTEMPTY, "remove", path);
    }
    directories_.erase(path);
  } else if (files_.erase(path) == 0) {
    return ErrorOf(ENOENT, "remove", path);
  }
  changes_.push_back({EntryChange::Kind::kRemove, path, "", nullptr});
  return absl::OkStatus();
}

absl::Status SimulatedDisk::MakeDirectory(const std::string& path) {
  if (absl::Status status = Begin(Operation::kMakeDirectory, path); !status.ok()) return status;
  for (std::string parent = ParentDirectory(path); directories_.insert(parent).second;
       parent = ParentDirectory(parent)) {
    directories_on_disk_.insert(parent);
  }
  if (directories_.insert(path).second) {
    changes_.push_back({EntryChange::Kind::kMakeDirectory, path, "", nullptr});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SimulatedDisk::List(const std::string& directory) {
  if (absl::Status status = Begin(Operation::kList, directory); !status.ok()) return status;
  if (!directories_.contains(directory)) return ErrorOf(ENOENT, "list", directory);
  std::vector<std::string> names;
  const auto add = [&](const std::string& path) {
    if (path != directory && ParentDirectory(path) == directory) {
      names.push_back(path.substr(path.rfind('/') + 1));
    }
  };
  for (const auto& [path, inode] : files_) add(path);
  for (const std::string& path : directories_) add(path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status SimulatedDisk::SyncDirectory(const std::string& directory) {
  if (absl::Status status = Begin(Operation::kSyncDirectory, directory); !status.ok()) {
    return status;
  }
  if (!directories_.contains(directory)) return ErrorOf(ENOENT, "open", directory);
  std::vector<EntryChange> others;
  for (EntryChange& change : changes_) {
    if (ParentDirectory(change.path) == directory) {
      Persist(change);
    } else {
      others.push_back(std::move(change));
    }
  }
  changes_ = std::move(others);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<File>> SimulatedDisk::Lock(const std::string& path) {
  if (absl::Status status = Begin(Operation::kLock, path); !status.ok()) return status;
  if (!directories_.contains(ParentDirectory(path))) return ErrorOf(ENOENT, "open", path);
  if (!locks_.insert(path).second) {
    return absl::AlreadyExistsError(absl::StrCat("lock ", path, ": held by process ", process_));
  }
  if (files_.try_emplace(path, std::make_shared<Inode>()).second) {
    changes_.push_back({EntryChange::Kind::kCreate, path, "", files_[path]});
  }
  return std::make_unique<HeldLock>(*this, path);
}

void SimulatedDisk::Persist(const EntryChange& change) {
  switch (change.kind) {
    case EntryChange::Kind::kCreate:
      files_on_disk_[change.path] = change.inode;
      return;
    case EntryChange::Kind::kRename:
      if (const auto at = files_on_disk_.find(change.path);
          at != files_on_disk_.end() && at->second == change.inode) {
        files_on_disk_.erase(at);
      }
      files_on_disk_[change.to] = change.inode;
      return;
    case EntryChange::Kind::kRemove:
      files_on_disk_.erase(change.path);
      directories_on_disk_.erase(change.path);
      return;
    case EntryChange::Kind::kMakeDirectory:
      directories_on_disk_.insert(change.path);
      return;
  }
}

uint64_t SimulatedDisk::used_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [path, inode] : files_) bytes += inode->cached.size();
  return bytes;
}

void SimulatedDisk::EndProcess() {
  ++process_;
  locks_.clear();
}

void SimulatedDisk::Crash() {
  EndProcess();
  // Often all or none of what was pending has made it.
  const uint64_t kept_of_4 = Below(5);
  for (const EntryChange& change : changes_) {
    if (Below(4) < kept_of_4) Persist(change);
  }
  changes_.clear();
  files_.clear();
  directories_ = directories_on_disk_;
  for (auto at = files_on_disk_.begin(); at != files_on_disk_.end();) {
    if (directories_.contains(ParentDirectory(at->first))) {
      files_.insert(*at++);
    } else {
      at = files_on_disk_.erase(at);
    }
  }

  for (auto& [path, inode] : files_) {
    const uint64_t written_of_4 = Below(5);
    const uint64_t smaller = std::min(inode->on_disk.size(), inode->cached.size());
    const uint64_t larger = std::max(inode->on_disk.size(), inode->cached.size());
    const uint64_t size = Below(4) < written_of_4 ? inode->cached.size()
                          : Below(2) == 0         ? inode->on_disk.size()
                                                  : smaller + Below(larger - smaller + 1);
    inode->on_disk.resize(size);
    bool lost = false;
    for (const auto& [sector, versions] : inode->dirty) {
      if (Below(4) >= written_of_4) {
        BETTONG_SOMETIMES(unsynced_write_lost);
        lost = true;
        continue;
      }
      // What was written behind it has come first.
      if (lost) BETTONG_SOMETIMES(unsynced_writes_reordered);
      std::string content = versions[Below(4) == 0 ? Below(versions.size()) : versions.size() - 1];
      if (written_of_4 < 4 && Below(3) == 0) {
        // Torn, from either end.
        BETTONG_SOMETIMES(unsynced_write_torn);
        const std::string before = SectorOf(inode->on_disk, sector);
        const size_t cut = Below(std::min(content.size(), before.size()) + 1);
        content = Below(2) == 0 ? content.substr(0, cut) + before.substr(cut)
                                : before.substr(0, cut) + content.substr(cut);
      }
      SetSector(inode->on_disk, sector, content);
    }
    inode->dirty.clear();
    inode->forgotten.clear();
    inode->written.clear();
    inode->cached = inode->on_disk;
  }
}

void SimulatedDisk::Kill() {
  EndProcess();
  for (auto& [path, inode] : files_) {
    for (auto at = inode->forgotten.begin(); at != inode->forgotten.end();) {
      if (Below(2) == 0) {
        inode->Evict(*at);
        at = inode->forgotten.erase(at);
      } else {
        ++at;
      }
    }
  }
}

void SimulatedDisk::EvictCleanPages() {
  for (auto& [path, inode] : files_) {
    for (uint64_t sector : inode->forgotten) inode->Evict(sector);
    inode->forgotten.clear();
  }
}

std::vector<std::string> SimulatedDisk::Files() const {
  std::vector<std::string> paths;
  for (const auto& [path, inode] : files_) paths.push_back(path);
  return paths;
}

std::string SimulatedDisk::Contents(const std::string& path) const {
  const auto at = files_.find(path);
  BETTONG_CHECK(at != files_.end());
  return at->second->cached;
}

bool SimulatedDisk::Written(const std::string& path, uint64_t offset) const {
  const auto at = files_.find(path);
  return at != files_.end() && at->second->written.contains(offset / kSector);
}

void SimulatedDisk::SetContents(const std::string& path, std::string bytes) {
  for (std::string parent = ParentDirectory(path); directories_.insert(parent).second;
       parent = ParentDirectory(parent)) {
    directories_on_disk_.insert(parent);
  }
  auto inode = std::make_shared<Inode>();
  inode->cached = inode->on_disk = std::move(bytes);
  files_[path] = files_on_disk_[path] = std::move(inode);
}

void SimulatedDisk::FlipBit(const std::string& path, uint64_t bit) {
  std::string bytes = Contents(path);
  BETTONG_CHECK(bit / 8 < bytes.size());
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  SetContents(path, std::move(bytes));
}

SimulatedDisk::Image SimulatedDisk::TakeImage() const {
  Image image;
  for (const auto& [path, inode] : files_) image[path] = inode->cached;
  return image;
}

void SimulatedDisk::LoadImage(const Image& image) {
  EndProcess();
  files_.clear();
  files_on_disk_.clear();
  changes_.clear();
  directories_ = directories_on_disk_ = {".", "/"};
  for (const auto& [path, bytes] : image) SetContents(path, bytes);
}

}  // namespace bettong
