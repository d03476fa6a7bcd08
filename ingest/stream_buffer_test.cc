#include "ingest/stream_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace bettong::ingest {
namespace {

// Receives as much of `bytes` as one read brings; answers how much.
size_t Receive(StreamBuffer& buffer, std::string_view bytes) {
  const std::span<char> room = buffer.Writable();
  const size_t size = std::min(room.size(), bytes.size());
  std::memcpy(room.data(), bytes.data(), size);
  buffer.Commit(size);
  // AddressSanitizer watches.
  const std::string padding(buffer.bytes().data() + buffer.bytes().size(), kFramePaddingBytes);
  EXPECT_EQ(padding.size(), kFramePaddingBytes);
  return size;
}

TEST(StreamBuffer, KeepsWhatIsNotConsumed) {
  StreamBuffer buffer;
  EXPECT_EQ(buffer.bytes(), "");
  Receive(buffer, "abcdef");
  buffer.Consume(4);
  EXPECT_EQ(buffer.bytes(), "ef");
  Receive(buffer, "ghi");
  EXPECT_EQ(buffer.bytes(), "efghi");
  buffer.Consume(5);
  EXPECT_EQ(buffer.bytes(), "");
}

TEST(StreamBuffer, GrowsAsBytesComeUpToItsLimit) {
  StreamBuffer buffer;
  const std::string piece(kReadBytesMax, 'x');
  size_t size = 0;
  // A whole frame but for its last byte: the next read still finds room.
  while (size < kStreamLengthBytes + kStreamFrameBytesMax - 1) {
    const size_t left = kStreamLengthBytes + kStreamFrameBytesMax - 1 - size;
    size += Receive(buffer, std::string_view(piece).substr(0, left));
    EXPECT_LE(buffer.capacity_bytes(), std::max(2 * size, size + kReadBytesMax));
  }
  EXPECT_GE(buffer.Writable().size(), kReadBytesMin);
  EXPECT_GE(Receive(buffer, piece), kReadBytesMin);
  EXPECT_LE(buffer.capacity_bytes(), kStreamBufferBytesMax);
  // Nobody who takes whole frames leaves so much.
  while (buffer.bytes().size() < kStreamBufferBytesMax) Receive(buffer, piece);
  EXPECT_DEATH(buffer.Writable(), "end_ < capacity_");
}

TEST(StreamBuffer, GivesBackWhatALargeFrameNeeded) {
  StreamBuffer buffer;
  const std::string piece(kReadBytesMax, 'x');
  for (int i = 0; i < 20; ++i) Receive(buffer, piece);
  buffer.Consume(buffer.bytes().size());
  for (int i = 0; i < 10; ++i) {
    Receive(buffer, "x");
    buffer.Consume(1);
  }
  EXPECT_LE(buffer.capacity_bytes(), 4 * kReadBytesMin);
}

TEST(StreamBuffer, OffersABusyConnectionMore) {
  StreamBuffer buffer;
  const std::string piece(kReadBytesMax, 'x');
  EXPECT_EQ(buffer.Writable().size(), kReadBytesMin);
  for (int i = 0; i < 10; ++i) buffer.Consume(Receive(buffer, piece));
  EXPECT_EQ(buffer.Writable().size(), kReadBytesMax);
}

}  // namespace
}  // namespace bettong::ingest
