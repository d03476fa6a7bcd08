#include "base/posix_file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace bettong {
namespace {

// Vectors of one pwritev; Linux takes 1024.
constexpr size_t kVectorsMax = 256;
// Of one write past the page cache.
constexpr size_t kBufferBytes = 256u << 10;

off_t At(uint64_t offset) { return static_cast<off_t>(offset); }

char* AlignedMemory(size_t bytes) {
  void* memory = std::aligned_alloc(kBlockBytes, bytes);
  BETTONG_CHECK(memory != nullptr);
  return static_cast<char*>(memory);
}

}  // namespace

absl::Status ErrorOf(std::string_view what, std::string_view path) {
  const int error = errno;
  // A limit on the size of files (ulimit -f) is a disk that is full.
  const absl::StatusCode code =
      error == EFBIG ? absl::StatusCode::kResourceExhausted : absl::ErrnoToStatusCode(error);
  return {code,
          absl::StrCat(absl::string_view(what.data(), what.size()), " ",
                       absl::string_view(path.data(), path.size()), ": ", std::strerror(error))};
}

// What close would report, Sync has reported, or nobody relies on it.
PosixFile::~PosixFile() { ::close(descriptor_); }

absl::Status PosixFile::ReadAt(uint64_t offset, std::span<char> into) {
  while (!into.empty()) {
    const ssize_t done = ::pread(descriptor_, into.data(), into.size(), At(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return ErrorOf("read", path_);
    if (done == 0) {
      return absl::OutOfRangeError(absl::StrCat("read ", path_, ": ends at ", offset));
    }
    into = into.subspan(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
  return absl::OkStatus();
}

absl::Status PosixFile::WriteAt(uint64_t offset, std::span<const std::string_view> parts) {
  size_t first = 0;    // the part in which what is left to be written begins
  size_t written = 0;  // bytes of that part
  while (true) {
    iovec vectors[kVectorsMax];
    int count = 0;
    for (size_t i = first; i < parts.size() && count < static_cast<int>(kVectorsMax); ++i) {
      const std::string_view part = i == first ? parts[i].substr(written) : parts[i];
      if (part.empty()) continue;
      vectors[count++] = {.iov_base = const_cast<char*>(part.data()), .iov_len = part.size()};
    }
    if (count == 0) return absl::OkStatus();
    const ssize_t done = ::pwritev(descriptor_, vectors, count, At(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done == 0) errno = EIO;
    if (done <= 0) return ErrorOf("write", path_);
    offset += static_cast<uint64_t>(done);
    written += static_cast<size_t>(done);
    while (first < parts.size() && written >= parts[first].size()) {
      written -= parts[first++].size();
    }
  }
}

absl::Status PosixFile::Sync() {
  return ::fdatasync(descriptor_) == 0 ? absl::OkStatus() : ErrorOf("sync", path_);
}

absl::Status PosixFile::Truncate(uint64_t bytes) {
  while (::ftruncate(descriptor_, At(bytes)) != 0) {
    if (errno != EINTR) return ErrorOf("truncate", path_);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> PosixFile::Size() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return ErrorOf("stat", path_);
  return static_cast<uint64_t>(status.st_size);
}

// --- past the page cache

PosixDirectFile::PosixDirectFile(std::string path, int descriptor)
    : PosixFile(std::move(path), descriptor), buffer_(AlignedMemory(kBufferBytes)) {}

absl::Status PosixDirectFile::ReadAt(uint64_t offset, std::span<char> into) {
  while (!into.empty()) {
    const uint64_t block = offset / kBlockBytes * kBlockBytes;
    if (absl::Status status = ReadBlock(block); !status.ok()) return status;
    const size_t size = std::min<size_t>(into.size(), block + kBlockBytes - offset);
    std::memcpy(into.data(), buffer_.get() + (offset - block), size);
    into = into.subspan(size);
    offset += size;
  }
  return absl::OkStatus();
}

absl::Status PosixDirectFile::ReadBlock(uint64_t block) {
  if (remembered_ == block) return absl::OkStatus();
  remembered_ = UINT64_MAX;
  absl::Status status = PosixFile::ReadAt(block, {buffer_.get(), kBlockBytes});
  if (status.ok()) remembered_ = block;
  return status;
}

absl::Status PosixDirectFile::WriteAt(uint64_t offset, std::span<const std::string_view> parts) {
  uint64_t at = offset / kBlockBytes * kBlockBytes;
  size_t filled = offset - at;
  if (filled > 0) {
    if (absl::Status status = ReadBlock(at); !status.ok()) return status;
  }
  remembered_ = UINT64_MAX;
  for (std::string_view part : parts) {
    while (!part.empty()) {
      const size_t size = std::min(part.size(), kBufferBytes - filled);
      std::memcpy(buffer_.get() + filled, part.data(), size);
      part.remove_prefix(size);
      filled += size;
      if (filled < kBufferBytes) continue;
      if (absl::Status status = WriteBuffer(at, filled); !status.ok()) return status;
      at += filled;
      filled = 0;
    }
  }
  if (filled == 0) return absl::OkStatus();
  const size_t last = WholeBlocks(filled) - kBlockBytes;
  std::memset(buffer_.get() + filled, 0, last + kBlockBytes - filled);
  if (absl::Status status = WriteBuffer(at, last + kBlockBytes); !status.ok()) return status;
  if (last > 0) std::memcpy(buffer_.get(), buffer_.get() + last, kBlockBytes);
  remembered_ = at + last;
  return absl::OkStatus();
}

absl::Status PosixDirectFile::WriteBuffer(uint64_t at, size_t bytes) {
  for (size_t written = 0; written < bytes;) {
    const ssize_t done =
        ::pwrite(descriptor_, buffer_.get() + written, bytes - written, At(at + written));
    if (done > 0) {
      written += static_cast<size_t>(done);
      continue;
    }
    if (done < 0 && errno == EINTR) continue;
    if (done == 0) errno = EIO;
    // This file system wants other blocks than ours: through the page cache, then.
    const int flags = errno == EINVAL ? ::fcntl(descriptor_, F_GETFL) : 0;
    if (flags > 0 && (flags & O_DIRECT) != 0) {
      if (::fcntl(descriptor_, F_SETFL, flags & ~O_DIRECT) == 0) continue;
      errno = EINVAL;
    }
    return ErrorOf("write", path_);
  }
  return absl::OkStatus();
}

absl::Status PosixDirectFile::Truncate(uint64_t bytes) {
  remembered_ = UINT64_MAX;
  return PosixFile::Truncate(bytes);
}

}  // namespace bettong
