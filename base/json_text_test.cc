#include "base/json_text.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

std::string Json(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

TEST(JsonText, StringsAreEscapedAndInvalidBytesReplaced) {
  EXPECT_EQ(Json("plain"), "\"plain\"");
  EXPECT_EQ(Json("\"\\/"), "\"\\\"\\\\/\"");
  EXPECT_EQ(Json(std::string_view("\b\f\n\r\t\0\x1f\x7f", 8)),
            "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"");
  EXPECT_EQ(Json("caf\xc3\xa9 \xf0\x9f\x98\x80"), "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"");
  EXPECT_EQ(Json("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(Json("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace bettong
