#include "protocol/reply_writer.h"

#include <gtest/gtest.h>

#include "grid/tagged.h"
#include "protocol/tagged_reply.h"

namespace bettong::protocol {
namespace {

TEST(ReplyWriter, Resp2HasFallbacks) {
  std::string out;
  ReplyWriter reply(out, false);
  reply.Map(2);
  reply.Null();
  reply.NullArray();
  reply.Double(2.5);
  reply.Bool(true);
  reply.Set(1);
  reply.Push(3);
  reply.Verbatim("x");
  EXPECT_EQ(out, "*4\r\n$-1\r\n*-1\r\n$3\r\n2.5\r\n:1\r\n*1\r\n*3\r\n$1\r\nx\r\n");
}

TEST(ReplyWriter, Resp3HasTypes) {
  std::string out;
  ReplyWriter reply(out, true);
  reply.Map(2);
  reply.Null();
  reply.NullArray();
  reply.Double(2.5);
  reply.Bool(false);
  reply.Set(1);
  reply.Push(3);
  reply.Verbatim("x");
  EXPECT_EQ(out, "%2\r\n_\r\n_\r\n,2.5\r\n#f\r\n~1\r\n>3\r\n=5\r\ntxt:x\r\n");
}

TEST(ReplyWriter, ErrorsAreOneLine) {
  std::string out;
  ReplyWriter(out, false).Error("ERR no key 'a\r\n+OK'");
  EXPECT_EQ(out, "-ERR no key 'a  +OK'\r\n");
}

TEST(TaggedReply, ResultsOfComputations) {
  std::string tagged;
  grid::TaggedWriter writer(tagged);
  writer.Map(1);
  writer.Text("k");
  writer.List(4);
  writer.Float(1.5);
  writer.Bool(true);
  writer.Nil();
  writer.Int(-3);
  std::string resp2, resp3;
  EncodeTagged(tagged, false, resp2);
  EncodeTagged(tagged, true, resp3);
  EXPECT_EQ(resp2, "*2\r\n$1\r\nk\r\n*4\r\n$3\r\n1.5\r\n:1\r\n$-1\r\n:-3\r\n");
  EXPECT_EQ(resp3, "%1\r\n$1\r\nk\r\n*4\r\n,1.5\r\n#t\r\n_\r\n:-3\r\n");
}

}  // namespace
}  // namespace bettong::protocol
