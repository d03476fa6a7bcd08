#include "base/byte_size.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

TEST(ByteSize, UnitsAreRedis) {
  EXPECT_EQ(ParseByteSize("0"), 0u);
  EXPECT_EQ(ParseByteSize("1024"), 1024u);
  EXPECT_EQ(ParseByteSize("7b"), 7u);
  EXPECT_EQ(ParseByteSize("100k"), 100'000u);
  EXPECT_EQ(ParseByteSize("100kb"), 102'400u);
  EXPECT_EQ(ParseByteSize("512MB"), 512u << 20);
  EXPECT_EQ(ParseByteSize("2g"), 2'000'000'000u);
  EXPECT_EQ(ParseByteSize("18446744073709551615"), UINT64_MAX);
}

TEST(ByteSize, EverythingElseIsRefused) {
  for (const char* bad :
       {"", "mb", "-1", "1.5gb", "1tb", "1 mb", "18446744073709551616", "18446744073709551615kb"}) {
    EXPECT_FALSE(ParseByteSize(bad)) << bad;
  }
}

}  // namespace
}  // namespace bettong
