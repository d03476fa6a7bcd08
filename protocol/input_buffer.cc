#include "protocol/input_buffer.h"

#include <algorithm>
#include <cstring>

namespace bettong::protocol {

void InputBuffer::Resize(size_t capacity) {
  std::unique_ptr<char[]> bytes(new char[capacity]);
  if (size() > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, size());
  end_ -= begin_;
  begin_ = 0;
  bytes_ = std::move(bytes);
  capacity_ = capacity;
}

std::span<char> InputBuffer::Prepare() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (filled_ && capacity_ < kInputBytesIdleMax) {
      Resize(std::max(capacity_ * 2, kInputBytesMin));
    } else if (capacity_ == 0 || capacity_ > kInputBytesIdleMax) {
      Resize(kInputBytesMin);
    }
  } else if (capacity_ - end_ < kInputBytesMin / 2) {
    // Half empty: moving is cheap enough. Otherwise a long command is coming in. A sender that
    // fills all there is gets more, whether its reads end with a command or within one.
    const bool grows = filled_ && capacity_ < kInputBytesIdleMax;
    if (!grows && size() <= capacity_ / 2) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    } else {
      Resize(capacity_ * 2);
    }
  }
  return {bytes_.get() + end_, capacity_ - end_};
}

void InputBuffer::Commit(size_t bytes) {
  end_ += bytes;
  filled_ = end_ == capacity_;
}

}  // namespace bettong::protocol
