#include "wal/data_directory.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/number_text.h"
#include "wal/errors.h"

namespace bettong::wal {
namespace {

constexpr char kLockName[] = "LOCK", kNodeName[] = "NODE", kNewNodeName[] = "NODE.new";
constexpr char kAsideName[] = "ASIDE", kMovedName[] = "ASIDE.moved";
constexpr uint64_t kNodeFileBytesMax = 4096;

// bettong 1
// node 00112233445566778899aabbccddeeff
// partitions 64
// check 89abcdef               the CRC of the lines before, in hexadecimal
std::string EncodeNodeFile(const NodeFile& node) {
  const absl::string_view uuid(node.node.data(), node.node.size());
  std::string text =
      absl::StrCat("bettong ", kFormatVersion, "\nnode ", absl::BytesToHexString(uuid),
                   "\npartitions ", node.partitions, "\n");
  absl::StrAppendFormat(&text, "check %08x\n", Crc32c(text));
  return text;
}

std::string_view Value(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return {};
  return line.substr(name.size());
}

absl::StatusOr<NodeFile> DecodeNodeFile(const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const std::string_view version = Value(lines[0], "bettong ");
  if (version.empty()) return Corruption("not the identity of a Bettong node");
  if (version != absl::StrCat(kFormatVersion)) {
    return Corruption(UnknownVersion(version));
  }
  NodeFile node;
  if (lines.size() > 2) {
    const std::string_view hex = Value(lines[1], "node ");
    const std::string uuid = absl::HexStringToBytes({hex.data(), hex.size()});
    if (hex.size() == 2 * node.node.size()) uuid.copy(node.node.data(), node.node.size());
    node.partitions = static_cast<uint32_t>(ParseInt(Value(lines[2], "partitions ")).value_or(0));
  }
  if (node.partitions == 0 || node.partitions > kSlotCount || EncodeNodeFile(node) != text) {
    return Corruption("is damaged");
  }
  return node;
}

absl::StatusOr<NodeFile> ReadNodeFile(FileSystem& files, const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/", kNodeName);
  auto file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return InWal(file.status());
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return InWal(size.status());
  std::string text(std::min(*size, kNodeFileBytesMax), '\0');
  if (absl::Status status = (*file)->ReadAt(0, text); !status.ok()) return InWal(status);
  absl::StatusOr<NodeFile> node = DecodeNodeFile(text);
  if (node.ok()) return node;
  return Corruption(path, ": ", node.status().message().substr(sizeof("wal: ") - 1));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(FileSystem& files,
                                                                   std::string path,
                                                                   const NodeFile& fresh) {
  BETTONG_CHECK(fresh.partitions > 0 && fresh.partitions <= kSlotCount);
  std::unique_ptr<DataDirectory> directory(new DataDirectory(files, std::move(path)));
  const std::string& root = directory->path_;
  if (absl::Status status = files.MakeDirectory(root); !status.ok()) return InWal(status);
  auto lock = files.Lock(absl::StrCat(root, "/", kLockName));
  if (!lock.ok()) return InWal(lock.status());
  directory->lock_ = *std::move(lock);

  const auto names = files.List(root);
  if (!names.ok()) return InWal(names.status());
  if (std::find(names->begin(), names->end(), kNodeName) == names->end()) {
    if (absl::Status status = directory->Make(fresh, *names); !status.ok()) return status;
  }
  absl::StatusOr<NodeFile> node = ReadNodeFile(files, root);
  if (!node.ok()) return node.status();
  directory->node_ = *node;
  return directory;
}

absl::Status DataDirectory::Make(const NodeFile& fresh, const std::vector<std::string>& names) {
  bool new_node = false;
  for (const std::string& name : names) {
    new_node |= name == kNewNodeName;
    if (name != kLockName && name != kNewNodeName && name != "lost+found") {
      return Corruption("open ", path_, ": it holds ", name, " but no ", kNodeName,
                        ": not a data directory of Bettong, or a damaged one");
    }
  }
  const std::string to = absl::StrCat(path_, "/", kNodeName);
  const std::string from = absl::StrCat(path_, "/", kNewNodeName);
  absl::Status status = files_.SyncDirectory(ParentDirectory(path_));
  if (status.ok() && new_node) status = files_.Remove(from);
  if (!status.ok()) return InWal(status);
  auto file = files_.Open(from, OpenMode::kCreate);
  if (!file.ok()) return InWal(file.status());
  const std::string text = EncodeNodeFile(fresh);
  const std::string_view parts[] = {text};
  status = (*file)->WriteAt(0, parts);
  if (status.ok()) status = (*file)->Sync();
  if (status.ok()) status = files_.Rename(from, to);
  if (status.ok()) status = files_.SyncDirectory(path_);
  return InWal(status);
}

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::OpenToRead(FileSystem& files,
                                                                         std::string path) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(files, std::move(path)));
  absl::StatusOr<NodeFile> node = ReadNodeFile(files, directory->path_);
  if (!node.ok()) return node.status();
  directory->node_ = *node;
  return directory;
}

std::string DataDirectory::ShardPath(ShardId shard) const {
  return path_ + "/" + ShardDirectoryName(shard);
}

absl::StatusOr<std::vector<ShardId>> DataDirectory::Shards() const {
  const auto names = files_.List(path_);
  if (!names.ok()) return InWal(names.status());
  std::vector<ShardId> shards;
  for (const std::string& name : *names) {
    if (const auto shard = ParseShardDirectoryName(name)) shards.push_back(*shard);
  }
  std::sort(shards.begin(), shards.end());
  return shards;
}

// The file ASIDE names the folder that logs are being moved to; ASIDE.moved, that all have been,
// and that what lies in their place is new and not complete.
absl::StatusOr<std::string> DataDirectory::SetLogsAside() {
  const auto names = files_.List(path_);
  if (!names.ok()) return InWal(names.status());
  std::string folder;
  for (int i = 1; folder.empty() || std::count(names->begin(), names->end(), folder) > 0; ++i) {
    folder = absl::StrFormat("lost-%04d", i);
  }
  auto file = files_.Open(PathOf(kAsideName), OpenMode::kCreate);
  if (!file.ok()) return InWal(file.status());
  const std::string text = folder + "\n";
  const std::string_view parts[] = {text};
  absl::Status status = (*file)->WriteAt(0, parts);
  if (status.ok()) status = (*file)->Sync();
  if (status.ok()) status = files_.MakeDirectory(PathOf(folder));
  if (status.ok()) status = files_.SyncDirectory(path_);
  if (!status.ok()) return InWal(status);
  const absl::StatusOr<std::vector<ShardId>> shards = Shards();
  if (!shards.ok()) return shards.status();
  for (ShardId shard : *shards) {
    status = files_.Rename(ShardPath(shard), PathOf(folder) + "/" + ShardDirectoryName(shard));
    if (!status.ok()) return InWal(status);
  }
  status = files_.SyncDirectory(PathOf(folder));
  if (status.ok()) status = files_.SyncDirectory(path_);
  if (status.ok()) status = files_.Rename(PathOf(kAsideName), PathOf(kMovedName));
  if (status.ok()) status = files_.SyncDirectory(path_);
  if (!status.ok()) return InWal(status);
  return PathOf(folder);
}

absl::Status DataDirectory::KeepNewLogs() {
  absl::Status status = files_.Remove(PathOf(kMovedName));
  if (status.ok()) status = files_.SyncDirectory(path_);
  return InWal(status);
}

absl::Status DataDirectory::UndoSetAside() {
  const auto names = files_.List(path_);
  if (!names.ok()) return InWal(names.status());
  absl::Status status;
  if (std::count(names->begin(), names->end(), kMovedName) > 0) {
    const absl::StatusOr<std::vector<ShardId>> shards = Shards();
    if (!shards.ok()) return shards.status();
    for (ShardId shard : *shards) {
      if (status = RemoveLog(shard); !status.ok()) return status;
    }
    status = files_.Rename(PathOf(kMovedName), PathOf(kAsideName));
    if (status.ok()) status = files_.SyncDirectory(path_);
    if (!status.ok()) return InWal(status);
  } else if (std::count(names->begin(), names->end(), kAsideName) == 0) {
    return absl::OkStatus();
  }
  auto file = files_.Open(PathOf(kAsideName), OpenMode::kRead);
  if (!file.ok()) return InWal(file.status());
  std::string folder(sizeof("lost-0000"), '\0');
  // A note that was not written in full: nothing has been moved.
  if ((*file)->ReadAt(0, folder).ok() && folder.back() == '\n') {
    folder.pop_back();
    const auto moved = files_.List(PathOf(folder));
    if (!moved.ok() && !absl::IsNotFound(moved.status())) return InWal(moved.status());
    for (const std::string& name : moved.ok() ? *moved : std::vector<std::string>()) {
      status = files_.Rename(PathOf(folder) + "/" + name, PathOf(name));
      if (!status.ok()) return InWal(status);
    }
    if (moved.ok()) status = files_.Remove(PathOf(folder));
    if (status.ok()) status = files_.SyncDirectory(path_);
    if (!status.ok()) return InWal(status);
  }
  status = files_.Remove(PathOf(kAsideName));
  if (status.ok()) status = files_.SyncDirectory(path_);
  return InWal(status);
}

absl::Status DataDirectory::RemoveLog(ShardId shard) {
  const std::string log = ShardPath(shard);
  const auto names = files_.List(log);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  if (!names.ok()) return InWal(names.status());
  // `durable` first, which would miss the segments; then these, oldest first, each durably: a crash
  // must leave no gap.
  std::vector<SegmentNumber> numbers;
  std::vector<std::string> order;
  for (const std::string& name : *names) {
    if (const auto number = ParseSegmentFileName(name)) {
      numbers.push_back(*number);
    } else {
      order.push_back(name);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  for (SegmentNumber number : numbers) order.push_back(SegmentFileName(number));
  for (const std::string& name : order) {
    absl::Status status = files_.Remove(absl::StrCat(log, "/", name));
    if (status.ok()) status = files_.SyncDirectory(log);
    if (!status.ok()) return InWal(status);
  }
  absl::Status status = files_.Remove(log);
  if (status.ok()) status = files_.SyncDirectory(path_);
  return InWal(status);
}

}  // namespace bettong::wal
