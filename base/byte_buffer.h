// Bytes that are added at the end, by whoever builds records in place: what std::string does, but
// new bytes are not filled with zeros first, and the common case is a few instructions where it is
// called. What it holds is aligned to 16 bytes. Owned like a value; cannot be copied.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace bettong {

class ByteBuffer {
 public:
  static constexpr size_t kCapacityMin = 64;

  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept { *this = std::move(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  char* data() { return bytes_.get(); }
  const char* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {bytes_.get(), size_}; }

  void clear() { size_ = 0; }
  void reserve(size_t capacity) {
    if (capacity > capacity_) Reallocate(capacity);
  }

  // So many bytes more, whose values are whatever the memory holds. What pointed into the buffer
  // before no longer does.
  char* Extend(size_t bytes) {
    if (capacity_ - size_ < bytes) [[unlikely]] {
      Reallocate(std::max({size_ + bytes, 2 * capacity_, kCapacityMin}));
    }
    char* at = bytes_.get() + size_;
    size_ += bytes;
    return at;
  }
  void Append(std::string_view bytes) { CopyBytes(Extend(bytes.size()), bytes); }

  // Leaves the first `size` bytes.
  void Truncate(size_t size) { size_ = size; }

 private:
  void Reallocate(size_t capacity) {
    auto grown = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
    bytes_ = std::move(grown);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace bettong
