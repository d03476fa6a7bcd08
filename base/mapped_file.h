// A small file as memory that outlives the process: what is stored in it is there for the next
// one, however this one ends. Nothing is synced: a power failure may put it back to what it was.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <string>

namespace bettong {

class MappedFile {
 public:
  // Makes the file, all zeros, if it is missing; cut or grown to `bytes` if it is not so long.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path, size_t bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<char> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<char> bytes) : bytes_(bytes) {}

  const std::span<char> bytes_;
};

}  // namespace bettong
