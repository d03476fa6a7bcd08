#include "base/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>

namespace bettong {
namespace {

std::string Sample() {
  std::string out;
  ByteWriter writer(out);
  writer.Fixed<uint32_t>(0xdeadbeef);
  writer.Varint(300);
  writer.Bytes("hello");
  writer.Fixed<int64_t>(-1);
  writer.Varint(UINT64_MAX);
  return out;
}

TEST(Bytes, WhatIsWrittenIsRead) {
  std::string bytes = Sample();
  ByteReader in(bytes);
  EXPECT_EQ(in.Fixed<uint32_t>(), 0xdeadbeefu);
  EXPECT_EQ(in.Varint(), 300u);
  EXPECT_EQ(in.Bytes(), "hello");
  EXPECT_EQ(in.Fixed<int64_t>(), -1);
  EXPECT_EQ(in.Varint(), UINT64_MAX);
  EXPECT_TRUE(in.ok());
  EXPECT_TRUE(in.empty());
}

TEST(Bytes, VarintsRoundTripAtEveryWidth) {
  for (int bits = 0; bits < 64; ++bits) {
    for (uint64_t value : {(1ull << bits) - 1, 1ull << bits}) {
      std::string out;
      ByteWriter(out).Varint(value);
      ByteReader in(out);
      EXPECT_EQ(in.Varint(), value);
      EXPECT_TRUE(in.ok() && in.empty());
    }
  }
}

// The input ends at every possible place; it lies at the end of its own allocation, so that the
// sanitizer sees a read past it.
TEST(Bytes, ZigzagsRoundTripAndAreShortWhenSmall) {
  constexpr int64_t kLow = std::numeric_limits<int64_t>::min();
  constexpr int64_t kHigh = std::numeric_limits<int64_t>::max();
  const std::pair<int64_t, size_t> cases[] = {{0, 1},     {-1, 1},       {1, 1},   {63, 1},
                                              {-64, 1},   {64, 2},       {-65, 2}, {kHigh, 10},
                                              {kLow, 10}, {kLow + 1, 10}};
  for (const auto& [value, size] : cases) {
    std::string bytes;
    ByteWriter(bytes).Zigzag(value);
    EXPECT_EQ(bytes.size(), size) << value;
    ByteReader in(bytes);
    EXPECT_EQ(in.Zigzag(), value);
    EXPECT_TRUE(in.ok() && in.empty());
  }
  EXPECT_EQ(ZigzagOf(-2), 3u);
}

TEST(Bytes, TruncatedInputIsNeverOkAndNeverReadBeyond) {
  std::string whole = Sample();
  for (size_t size = 0; size < whole.size(); ++size) {
    auto copy = std::make_unique<char[]>(size);
    std::memcpy(copy.get(), whole.data(), size);
    ByteReader in(std::string_view(copy.get(), size));
    in.Fixed<uint32_t>();
    in.Varint();
    in.Bytes();
    in.Fixed<int64_t>();
    in.Varint();
    EXPECT_FALSE(in.ok()) << size;
    EXPECT_TRUE(in.empty());
  }
}

TEST(Bytes, AfterAMalformedFieldEverythingIsZeroOrEmpty) {
  using Wide = std::array<char, 64>;
  std::string bytes = "\xff\x01\x02\x03 more";
  ByteReader in(bytes);
  EXPECT_EQ(in.Fixed<Wide>(), Wide{});
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.Fixed<uint8_t>(), 0);
  EXPECT_EQ(in.Varint(), 0u);
  EXPECT_EQ(in.Bytes(), "");
  EXPECT_EQ(in.rest(), "");
}

TEST(Bytes, ALengthBeyondTheEndIsMalformed) {
  std::string bytes;
  ByteWriter(bytes).Varint(UINT64_MAX);
  bytes += "abc";
  ByteReader in(bytes);
  EXPECT_EQ(in.Bytes(), "");
  EXPECT_FALSE(in.ok());
}

TEST(Bytes, AVarintOfMoreThan64BitsIsMalformed) {
  std::string eleven(10, '\xff');
  eleven.push_back('\x01');
  ByteReader longer(eleven);
  longer.Varint();
  EXPECT_FALSE(longer.ok());
  // Ten bytes, but the last holds more than the one bit that is left.
  std::string ten(9, '\xff');
  ten.push_back('\x02');
  ByteReader wider(ten);
  wider.Varint();
  EXPECT_FALSE(wider.ok());
}

TEST(Bytes, AnEmptyReaderHasNothing) {
  ByteReader in{std::string_view()};
  EXPECT_TRUE(in.ok());
  EXPECT_TRUE(in.empty());
  EXPECT_EQ(in.Raw(0), "");
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.Raw(1), "");
  EXPECT_FALSE(in.ok());
}

TEST(Bytes, CopiesEverySizeAndNoMore) {
  std::string from(100, '\0');
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<char>(i + 1);
  for (size_t size = 0; size <= from.size(); ++size) {
    std::string to(from.size() + 1, '#');
    CopyBytes(to.data(), std::string_view(from).substr(0, size));
    EXPECT_EQ(to.substr(0, size), from.substr(0, size));
    EXPECT_EQ(to.substr(size), std::string(to.size() - size, '#')) << "wrote beyond " << size;
  }
}

}  // namespace
}  // namespace bettong
