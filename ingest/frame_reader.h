// Cuts a flow of bytes into frames: lines, or frames behind a 4-byte big-endian length. It owns the
// read buffer: bytes are received into Writable() and frames are handed out in place, each readable
// for kFramePaddingBytes beyond its end, as the decoder wants it.
//
// Owned by one thread. Memory is bounded by the frame limit plus one read, whatever arrives: an
// over-long line is skipped as it comes, keeping its head as evidence and its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace bettong::ingest {

inline constexpr size_t kFrameBytesMax = 1u << 20;      // default of `max_frame_bytes`
inline constexpr size_t kFramePaddingBytes = 64;        // readable beyond a frame
inline constexpr size_t kFrameEvidenceBytesMax = 1024;  // kept of a frame that is refused
inline constexpr size_t kReadBytesMin = 16u << 10;      // room offered for one read, at least
inline constexpr size_t kReadBytesMax = 64u << 10;      // ... at most, unless a frame is longer

enum class Framing : uint8_t { kLines, kLength32 };

struct Frame {
  enum class Kind : uint8_t {
    kFrame,      // text is one frame
    kNone,       // more bytes are needed; after Finish: the end
    kTooLong,    // a line over the limit, skipped: text is its head, size_bytes its size
    kBadLength,  // a length prefix over the limit (size_bytes): nothing behind it can be read
    kTruncated,  // the input ended inside a frame: text is the head of what came of it
  };
  Kind kind = Kind::kNone;
  std::string_view text;  // good until Writable
  uint64_t size_bytes = 0;
};

class FrameReader {
 public:
  explicit FrameReader(Framing framing, size_t frame_bytes_max = kFrameBytesMax);

  // Where to receive the next bytes: at least kReadBytesMin of room, more for a busy input.
  std::span<char> Writable();
  // So many bytes were received.
  void Commit(size_t size);
  // The input has ended: a last line without a newline is a frame, too.
  void Finish() { finished_ = true; }

  // The next frame. Blank lines and empty frames are skipped; a line's "\r" is not part of it.
  Frame Next() { return framing_ == Framing::kLines ? NextLine() : NextLength32(); }

  // Bytes received that belong to no complete frame yet.
  size_t pending_bytes() const { return end_ - begin_; }
  size_t capacity_bytes() const { return capacity_; }

 private:
  Frame NextLine();
  Frame NextLength32();
  Frame SkipLine();
  Frame LastLine();
  Frame Truncated();
  Frame TooLong(std::string_view line) const;
  std::string_view unread() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void Reallocate(size_t capacity);

  const Framing framing_;
  const size_t frame_bytes_max_;
  std::unique_ptr<char[]> buffer_;  // capacity_ + kFramePaddingBytes
  size_t capacity_ = 0;
  size_t begin_ = 0;    // of what is not handed out yet
  size_t end_ = 0;      // of what was received
  size_t scanned_ = 0;  // lines: there is no newline in [begin_, scanned_)
  size_t needed_ = 0;   // length32: bytes of the frame being received, prefix included
  size_t read_bytes_ = kReadBytesMin;  // room to offer
  bool finished_ = false;
  bool broken_ = false;  // kBadLength was answered

  bool skipping_ = false;  // inside an over-long line
  uint64_t skipped_bytes_ = 0;
  char skipped_last_ = 0;
  std::string evidence_;
};

}  // namespace bettong::ingest
