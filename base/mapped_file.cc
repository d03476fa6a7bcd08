#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/posix_file.h"

namespace bettong {

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& path,
                                                             size_t bytes) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return ErrorOf("open", path);
  // Blocks are claimed now: a full disk must not show as SIGBUS.
  absl::Status status;
  if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) {
    status = ErrorOf("truncate", path);
  } else if ((errno = ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes))) != 0) {
    status = ErrorOf("allocate", path);
  }
  void* memory = MAP_FAILED;
  if (status.ok()) {
    memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) status = ErrorOf("map", path);
  }
  ::close(descriptor);
  if (!status.ok()) return status;
  return std::unique_ptr<MappedFile>(new MappedFile({static_cast<char*>(memory), bytes}));
}

MappedFile::~MappedFile() { ::munmap(bytes_.data(), bytes_.size()); }

}  // namespace bettong
