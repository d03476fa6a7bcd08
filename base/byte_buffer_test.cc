#include "base/byte_buffer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace bettong {
namespace {

TEST(ByteBuffer, HoldsWhatIsAppendedWhileItGrows) {
  ByteBuffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.view(), "");
  std::string expected;
  for (size_t size = 0; size < 200; ++size) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    buffer.Append(piece);
    expected += piece;
    ASSERT_EQ(buffer.view(), expected);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 16, 0u);
  }
}

TEST(ByteBuffer, ExtendsByExactlyWhatIsLeft) {
  ByteBuffer buffer;
  buffer.reserve(100);
  const char* data = buffer.data();
  EXPECT_EQ(buffer.Extend(100), data);
  EXPECT_EQ(buffer.capacity(), 100u);
  buffer.Extend(1);
  EXPECT_EQ(buffer.size(), 101u);
  EXPECT_GE(buffer.capacity(), 101u);
}

TEST(ByteBuffer, KeepsItsMemoryAndWhatIsInFrontOfWhatIsCut) {
  ByteBuffer buffer;
  buffer.Append("kept and cut");
  const char* data = buffer.data();
  buffer.Truncate(4);
  EXPECT_EQ(buffer.view(), "kept");
  buffer.clear();
  buffer.Append("new");
  EXPECT_EQ(buffer.view(), "new");
  EXPECT_EQ(buffer.data(), data);
}

TEST(ByteBuffer, WhatItIsMovedFromIsEmpty) {
  ByteBuffer from;
  from.Append("x");
  ByteBuffer to = std::move(from);
  EXPECT_EQ(to.view(), "x");
  EXPECT_EQ(from.size(), 0u);  // NOLINT: that is what is tested
  from.Append("y");
  EXPECT_EQ(from.view(), "y");
  std::swap(from, to);
  EXPECT_EQ(from.view(), "x");
  EXPECT_EQ(to.view(), "y");
}

}  // namespace
}  // namespace bettong
