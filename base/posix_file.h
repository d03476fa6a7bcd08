// Files of the machine's own file system, by descriptor. See base/file_system.h.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file_system.h"

namespace bettong {

// What errno says of doing `what` to `path`.
absl::Status ErrorOf(std::string_view what, std::string_view path);

class PosixFile : public File {
 public:
  PosixFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override;

  absl::Status ReadAt(uint64_t offset, std::span<char> into) override;
  absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> parts) override;
  absl::Status Sync() override;
  absl::Status Truncate(uint64_t bytes) override;
  absl::StatusOr<uint64_t> Size() override;

 protected:
  const std::string path_;
  const int descriptor_;
};

// Writes whole blocks, from memory that the device may take them from: with O_DIRECT nothing is
// copied into a page cache that nobody reads. The last block of a write is remembered, for the next
// write goes on in it.
class PosixDirectFile final : public PosixFile {
 public:
  PosixDirectFile(std::string path, int descriptor);

  absl::Status ReadAt(uint64_t offset, std::span<char> into) override;
  absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> parts) override;
  absl::Status Truncate(uint64_t bytes) override;

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };

  absl::Status ReadBlock(uint64_t block);               // into the buffer's begin
  absl::Status WriteBuffer(uint64_t at, size_t bytes);  // whole blocks

  const std::unique_ptr<char[], Free> buffer_;
  uint64_t remembered_ = UINT64_MAX;  // offset of the block at the buffer's begin
};

}  // namespace bettong
