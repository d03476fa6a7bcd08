#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/file_system.h"
#include "base/posix_file.h"

namespace bettong {
namespace {

int FlagsOf(OpenMode mode) {
  return mode == OpenMode::kRead        ? O_RDONLY
         : mode == OpenMode::kReadWrite ? O_RDWR
                                        : O_RDWR | O_CREAT | O_EXCL;
}

int OpenDescriptor(const std::string& path, int flags) {
  while (true) {
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (descriptor >= 0 || errno != EINTR) return descriptor;
  }
}

class PosixFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    const int descriptor = OpenDescriptor(path, FlagsOf(mode));
    if (descriptor < 0) return ErrorOf(mode == OpenMode::kCreate ? "create" : "open", path);
    return std::make_unique<PosixFile>(path, descriptor);
  }

  absl::StatusOr<std::unique_ptr<File>> OpenDirect(const std::string& path,
                                                   OpenMode mode) override {
    int descriptor = OpenDescriptor(path, FlagsOf(mode) | O_DIRECT);
    if (descriptor < 0 && errno == EINVAL) {
      // A file system without it, which may have made the file nevertheless.
      const OpenMode again = mode == OpenMode::kRead ? mode : OpenMode::kReadWrite;
      descriptor = OpenDescriptor(path, FlagsOf(again) | (mode == OpenMode::kCreate ? O_CREAT : 0));
    }
    if (descriptor < 0) return ErrorOf(mode == OpenMode::kCreate ? "create" : "open", path);
    return std::make_unique<PosixDirectFile>(path, descriptor);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return ErrorOf("rename", absl::StrCat(from, " to ", to));
  }

  absl::Status Remove(const std::string& path) override {
    return std::remove(path.c_str()) == 0 ? absl::OkStatus() : ErrorOf("remove", path);
  }

  absl::Status MakeDirectory(const std::string& path) override {
    for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
      const std::string parent = path.substr(0, end);
      if (::mkdir(parent.c_str(), 0755) == 0) {
        absl::Status status = SyncDirectory(ParentDirectory(parent));
        if (!status.ok()) return status;
      } else if (errno != EEXIST) {
        return ErrorOf("make directory", parent);
      }
    }
    if (::mkdir(path.c_str(), 0755) == 0) return absl::OkStatus();
    struct stat status {};
    if (errno == EEXIST && ::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) {
      errno = ENOTDIR;
    }
    return errno == EEXIST ? absl::OkStatus() : ErrorOf("make directory", path);
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    DIR* stream = ::opendir(directory.c_str());
    if (stream == nullptr) return ErrorOf("list", directory);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    absl::Status status = errno == 0 ? absl::OkStatus() : ErrorOf("list", directory);
    ::closedir(stream);
    if (!status.ok()) return status;
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status SyncDirectory(const std::string& directory) override {
    const int descriptor = OpenDescriptor(directory, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) return ErrorOf("open", directory);
    absl::Status status =
        ::fsync(descriptor) == 0 ? absl::OkStatus() : ErrorOf("sync directory", directory);
    ::close(descriptor);
    return status;
  }

  absl::StatusOr<std::unique_ptr<File>> Lock(const std::string& path) override {
    const int descriptor = OpenDescriptor(path, O_RDWR | O_CREAT);
    if (descriptor < 0) return ErrorOf("open", path);
    auto file = std::make_unique<PosixFile>(path, descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return ErrorOf("lock", path);
      char holder[32];
      const ssize_t size = std::max<ssize_t>(0, ::pread(descriptor, holder, sizeof(holder), 0));
      const absl::string_view text(holder, static_cast<size_t>(size));
      return absl::AlreadyExistsError(
          absl::StrCat("lock ", path, ": held by process ", text.substr(0, text.find('\n'))));
    }
    const std::string pid = absl::StrCat(::getpid(), "\n");
    const std::string_view parts[] = {pid};
    absl::Status status = file->Truncate(0);
    if (status.ok()) status = file->WriteAt(0, parts);
    if (!status.ok()) return status;
    return file;
  }
};

}  // namespace

std::string ParentDirectory(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

std::unique_ptr<FileSystem> MakePosixFileSystem() { return std::make_unique<PosixFileSystem>(); }

}  // namespace bettong
