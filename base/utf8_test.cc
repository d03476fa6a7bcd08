#include "base/utf8.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

TEST(Utf8, WellFormedSequencesOfEveryLengthAreTaken) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8(std::string_view("a\0z", 3)));
  for (std::string_view text :
       {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "caf\xc3\xa9 \xe2\x82\xac"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  EXPECT_EQ(Utf8SequenceBytes("\xe2\x82\xac and more"), 3u);
}

TEST(Utf8, OverlongSurrogateHighAndCutSequencesAreRefused) {
  for (std::string_view text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82",
        "\xf0\x90\x80", "\xc3(", "\xe2(\xac", "\xe2\x82(", "\xf0\x90\x80(", "ok then \xc3"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
  EXPECT_EQ(Utf8SequenceBytes(""), 0u);
}

}  // namespace
}  // namespace bettong
