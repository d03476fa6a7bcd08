// What a bettong-stream connection has received and not handled yet. Bytes are received into
// Writable() and handled in place; kFramePaddingBytes behind the last one are readable, as the
// decoder of events wants it.
//
// Owned by one thread. It grows as bytes come, not as a frame announces them, and is never larger
// than kStreamBufferBytesMax.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "ingest/frame_reader.h"
#include "ingest/stream_wire.h"

namespace bettong::ingest {

// The largest frame, and the most that one read brings behind it.
inline constexpr size_t kStreamBufferBytesMax =
    kStreamLengthBytes + kStreamFrameBytesMax + kReadBytesMax;

class StreamBuffer {
 public:
  // Where to receive the next bytes: at least kReadBytesMin, as long as what is kept is no more
  // than a frame.
  std::span<char> Writable();
  // So many bytes were received.
  void Commit(size_t size);
  // What is kept; good until Writable.
  std::string_view bytes() const { return {buffer_.get() + begin_, end_ - begin_}; }
  // So many of them are done with.
  void Consume(size_t size) { begin_ += size; }

  size_t capacity_bytes() const { return capacity_; }

 private:
  void Reallocate(size_t capacity);

  std::unique_ptr<char[]> buffer_;  // capacity_ + kFramePaddingBytes
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t read_bytes_ = kReadBytesMin;  // room to offer
};

}  // namespace bettong::ingest
