#include "ingest/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace bettong::ingest {
namespace {

constexpr size_t kPrefixBytes = 4;
constexpr size_t kShrinkFactor = 4;  // a buffer so many times the room offered is given back

std::string_view WithoutCarriageReturn(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool IsBlank(std::string_view line) {
  if (!line.empty() && static_cast<unsigned char>(line[0]) > ' ') return false;
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

uint32_t BigEndian32(const char* at) {
  uint32_t value = 0;
  for (size_t i = 0; i < kPrefixBytes; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

}  // namespace

FrameReader::FrameReader(Framing framing, size_t frame_bytes_max)
    : framing_(framing), frame_bytes_max_(frame_bytes_max) {}

std::span<char> FrameReader::Writable() {
  if (begin_ == end_) {
    begin_ = end_ = scanned_ = 0;
    if (capacity_ > kShrinkFactor * read_bytes_) buffer_.reset(), capacity_ = 0;
  } else if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    scanned_ -= std::min(scanned_, begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  size_t room = std::max(read_bytes_, needed_ > end_ ? needed_ - end_ : 0);
  if (capacity_ - end_ < kReadBytesMin || capacity_ < room) Reallocate(end_ + room);
  return {buffer_.get() + end_, capacity_ - end_};
}

void FrameReader::Commit(size_t size) {
  end_ += size;
  if (end_ == capacity_ && read_bytes_ < kReadBytesMax) {
    read_bytes_ *= 2;
  } else if (size < read_bytes_ / 8 && read_bytes_ > kReadBytesMin) {
    read_bytes_ /= 2;
  }
}

void FrameReader::Reallocate(size_t capacity) {
  auto grown = std::make_unique_for_overwrite<char[]>(capacity + kFramePaddingBytes);
  if (end_ > 0) std::memcpy(grown.get(), buffer_.get(), end_);
  std::memset(grown.get() + capacity, 0, kFramePaddingBytes);
  buffer_ = std::move(grown);
  capacity_ = capacity;
}

Frame FrameReader::NextLine() {
  if (skipping_) return SkipLine();
  while (true) {
    const char* from = buffer_.get() + scanned_;
    const void* newline = scanned_ < end_ ? std::memchr(from, '\n', end_ - scanned_) : nullptr;
    if (newline == nullptr) {
      scanned_ = end_;
      if (finished_) return LastLine();
      if (end_ - begin_ > frame_bytes_max_ + 1) {  // + 1: its last byte may be a "\r"
        skipping_ = true;
        skipped_bytes_ = 0;
        evidence_.clear();
        return SkipLine();
      }
      return Frame{};
    }
    const char* line_begin = buffer_.get() + begin_;
    const size_t line_bytes = static_cast<size_t>(static_cast<const char*>(newline) - line_begin);
    begin_ += line_bytes + 1;
    scanned_ = begin_;
    std::string_view line = WithoutCarriageReturn({line_begin, line_bytes});
    if (line.size() > frame_bytes_max_) return TooLong(line);
    if (!IsBlank(line)) return Frame{Frame::Kind::kFrame, line, line.size()};
  }
}

// Drops what was received of an over-long line; answers it when its end has come.
Frame FrameReader::SkipLine() {
  const std::string_view bytes = unread();
  const size_t newline = bytes.find('\n');
  const bool ended = newline != std::string_view::npos;
  const std::string_view part = bytes.substr(0, newline);
  if (evidence_.size() < kFrameEvidenceBytesMax) {
    evidence_.append(part.substr(0, kFrameEvidenceBytesMax - evidence_.size()));
  }
  skipped_bytes_ += part.size();
  if (!part.empty()) skipped_last_ = part.back();
  begin_ += ended ? newline + 1 : part.size();
  scanned_ = begin_;
  if (!ended && !finished_) return Frame{};
  skipping_ = false;
  if (skipped_last_ == '\r') {
    if (evidence_.size() == skipped_bytes_) evidence_.pop_back();
    --skipped_bytes_;
  }
  // The evidence outlives this call: it is overwritten by the next over-long line only.
  return Frame{Frame::Kind::kTooLong, evidence_, skipped_bytes_};
}

Frame FrameReader::LastLine() {
  std::string_view line = WithoutCarriageReturn(unread());
  begin_ = scanned_ = end_;
  if (line.size() > frame_bytes_max_) return TooLong(line);
  if (IsBlank(line)) return Frame{};
  return Frame{Frame::Kind::kFrame, line, line.size()};
}

Frame FrameReader::TooLong(std::string_view line) const {
  return Frame{Frame::Kind::kTooLong, line.substr(0, kFrameEvidenceBytesMax), line.size()};
}

Frame FrameReader::NextLength32() {
  while (!broken_) {
    needed_ = 0;
    std::string_view bytes = unread();
    if (bytes.size() < kPrefixBytes) return finished_ ? Truncated() : Frame{};
    const size_t size = BigEndian32(bytes.data());
    if (size > frame_bytes_max_) {
      broken_ = true;
      begin_ = end_;
      return Frame{Frame::Kind::kBadLength, {}, size};
    }
    if (bytes.size() < kPrefixBytes + size) {
      needed_ = kPrefixBytes + size;
      return finished_ ? Truncated() : Frame{};
    }
    begin_ += kPrefixBytes + size;
    if (size > 0) return Frame{Frame::Kind::kFrame, bytes.substr(kPrefixBytes, size), size};
  }
  begin_ = end_;
  return Frame{};
}

Frame FrameReader::Truncated() {
  std::string_view bytes = unread();
  begin_ = end_;
  needed_ = 0;
  if (bytes.empty()) return Frame{};
  std::string_view content = bytes.substr(std::min(bytes.size(), kPrefixBytes));
  return Frame{Frame::Kind::kTruncated, content.substr(0, kFrameEvidenceBytesMax), content.size()};
}

}  // namespace bettong::ingest
