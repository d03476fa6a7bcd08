#include "server/resp_reply.h"

#include <gtest/gtest.h>

#include <string>

namespace bettong::server {
namespace {

RespReply Whole(std::string_view bytes) {
  RespReply reply;
  size_t size = 0;
  EXPECT_EQ(ReadRespReply(bytes, reply, size), RespReplyStatus::kWhole) << bytes;
  EXPECT_EQ(size, bytes.size());
  return reply;
}

RespReplyStatus StatusOf(std::string_view bytes) {
  RespReply reply;
  size_t size = 0;
  return ReadRespReply(bytes, reply, size);
}

TEST(RespReply, ReadsEveryKind) {
  EXPECT_EQ(Whole("+OK\r\n").text, "OK");
  EXPECT_EQ(Whole("-ERR no\r\n").kind, RespReply::Kind::kError);
  EXPECT_EQ(Whole(":-7\r\n").integer, -7);
  EXPECT_EQ(Whole("$-1\r\n").kind, RespReply::Kind::kNull);
  EXPECT_EQ(Whole("*-1\r\n").kind, RespReply::Kind::kNull);
  EXPECT_EQ(Whole("$4\r\na\r\nb\r\n").text, "a\r\nb");
  const RespReply list = Whole("*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*1\r\n$0\r\n\r\n");
  EXPECT_EQ(list.Find("a").integer, 1);
  EXPECT_EQ(list.Find("b").items.size(), 1u);
  EXPECT_EQ(list.Find("c").kind, RespReply::Kind::kNull);
}

TEST(RespReply, WhatIsCutOffIsIncomplete) {
  const std::string whole = "*3\r\n$2\r\nab\r\n*1\r\n:5\r\n-no\r\n";
  Whole(whole);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(StatusOf(whole.substr(0, size)), RespReplyStatus::kIncomplete) << size;
  }
}

TEST(RespReply, WhatIsNoReplyIsBroken) {
  for (const char* bytes : {"\r\n", "?1\r\n", ":x\r\n", "$-2\r\n", "$1\r\nabc", "*1\r\n?\r\n"}) {
    EXPECT_EQ(StatusOf(bytes), RespReplyStatus::kBroken) << bytes;
  }
}

TEST(RespReply, ListsAreNestedToALimit) {
  std::string nested;
  for (int i = 0; i < kReplyDepthMax; ++i) nested += "*1\r\n";
  Whole(nested + ":1\r\n");
  EXPECT_EQ(StatusOf("*1\r\n" + nested + ":1\r\n"), RespReplyStatus::kBroken);
}

}  // namespace
}  // namespace bettong::server
