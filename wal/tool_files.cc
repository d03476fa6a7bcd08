#include "wal/tool_files.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "wal/format.h"

namespace bettong::wal {
namespace {

absl::Status Refused(const char* what, const std::string& path) {
  return absl::PermissionDeniedError(absl::StrCat(what, " ", path, ": opened to read only"));
}

class KeptFile final : public File {
 public:
  KeptFile(std::string path, std::string bytes)
      : path_(std::move(path)), bytes_(std::move(bytes)) {}

  absl::Status ReadAt(uint64_t offset, std::span<char> into) override {
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset) {
      return absl::OutOfRangeError(absl::StrCat("read ", path_, ": ends at ", bytes_.size()));
    }
    bytes_.copy(into.data(), into.size(), offset);
    return absl::OkStatus();
  }
  absl::Status WriteAt(uint64_t, std::span<const std::string_view>) override {
    return Refused("write", path_);
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(uint64_t) override { return Refused("truncate", path_); }
  absl::StatusOr<uint64_t> Size() override { return bytes_.size(); }

 private:
  const std::string path_;
  const std::string bytes_;
};

}  // namespace

ToolFiles::ToolFiles(FileSystem& files, const std::string& directory) : files_(files) {
  const auto names = files.List(directory);
  if (!names.ok()) return;  // whoever reads on is told
  for (const std::string& name : *names) {
    if (!ParseShardDirectoryName(name)) continue;
    const std::string path = absl::StrCat(directory, "/", name, "/", std::string(kDurableName));
    const auto file = files.Open(path, OpenMode::kRead);
    if (!file.ok()) continue;
    std::string bytes((*file)->Size().value_or(0), '\0');
    if ((*file)->ReadAt(0, bytes).ok()) kept_.emplace(path, std::move(bytes));
  }
}

absl::StatusOr<std::unique_ptr<File>> ToolFiles::Open(const std::string& path, OpenMode mode) {
  if (mode != OpenMode::kRead) return Refused("open", path);
  const auto kept = kept_.find(path);
  if (kept == kept_.end()) return files_.Open(path, mode);
  return std::make_unique<KeptFile>(path, kept->second);
}

absl::Status ToolFiles::Rename(const std::string& from, const std::string&) {
  return Refused("rename", from);
}
absl::Status ToolFiles::Remove(const std::string& path) { return Refused("remove", path); }
absl::Status ToolFiles::MakeDirectory(const std::string& path) { return Refused("make", path); }
absl::Status ToolFiles::SyncDirectory(const std::string& path) { return Refused("sync", path); }
absl::StatusOr<std::unique_ptr<File>> ToolFiles::Lock(const std::string& path) {
  return Refused("lock", path);
}

}  // namespace bettong::wal
