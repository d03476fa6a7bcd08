#include "ingest/stream_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace bettong::ingest {
namespace {

constexpr size_t kShrinkFactor = 4;  // a buffer so many times the room offered is given back

}  // namespace

std::span<char> StreamBuffer::Writable() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > kShrinkFactor * read_bytes_) buffer_.reset(), capacity_ = 0;
  } else if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (capacity_ - end_ < kReadBytesMin || capacity_ < read_bytes_) {
    // Twice as much, so that a large frame is copied a few times only.
    Reallocate(std::min(end_ + std::max(read_bytes_, end_), kStreamBufferBytesMax));
  }
  BETTONG_CHECK(end_ < capacity_);
  return {buffer_.get() + end_, std::min(capacity_ - end_, kReadBytesMax)};
}

void StreamBuffer::Commit(size_t size) {
  end_ += size;
  if (size >= read_bytes_ && read_bytes_ < kReadBytesMax) {
    read_bytes_ *= 2;
  } else if (size < read_bytes_ / 8 && read_bytes_ > kReadBytesMin) {
    read_bytes_ /= 2;
  }
}

void StreamBuffer::Reallocate(size_t capacity) {
  auto grown = std::make_unique_for_overwrite<char[]>(capacity + kFramePaddingBytes);
  if (end_ > 0) std::memcpy(grown.get(), buffer_.get(), end_);
  std::memset(grown.get() + capacity, 0, kFramePaddingBytes);
  buffer_ = std::move(grown);
  capacity_ = capacity;
}

}  // namespace bettong::ingest
