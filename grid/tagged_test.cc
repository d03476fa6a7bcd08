#include "grid/tagged.h"

#include <gtest/gtest.h>

namespace bettong::grid {
namespace {

TEST(Tagged, EveryKindOfValueRoundTrips) {
  std::string bytes;
  TaggedWriter out(bytes);
  out.List(11);
  out.Nil();
  out.Bool(true);
  out.Bool(false);
  out.Int(INT64_MIN);
  out.Float(-0.5);
  out.Text("caf\xc3\xa9");
  out.Bytes(std::string_view("\0\xff", 2));
  out.Map(1);
  out.Text("key");
  out.Int(7);
  out.Error("ERR no");
  out.Status("OK");
  TaggedReader in(bytes);
  TaggedItem list = in.Next();
  EXPECT_EQ(list.tag, Tag::kList);
  EXPECT_EQ(list.size, 11u);
  EXPECT_EQ(in.Next().tag, Tag::kNil);
  EXPECT_EQ(in.Next().tag, Tag::kTrue);
  EXPECT_EQ(in.Next().tag, Tag::kFalse);
  EXPECT_EQ(in.Next().integer, INT64_MIN);
  EXPECT_EQ(in.Next().real, -0.5);
  EXPECT_EQ(in.Next().bytes, "caf\xc3\xa9");
  EXPECT_EQ(in.Next().bytes, std::string_view("\0\xff", 2));
  EXPECT_EQ(in.Next().size, 1u);
  EXPECT_EQ(in.Next().bytes, "key");
  EXPECT_EQ(in.Next().integer, 7);
  TaggedItem error = in.Next();
  EXPECT_EQ(error.tag, Tag::kError);
  EXPECT_EQ(error.bytes, "ERR no");
  EXPECT_EQ(in.Next().tag, Tag::kStatus);
  EXPECT_TRUE(in.ok());
  EXPECT_TRUE(in.empty());
}

TEST(Tagged, MalformedValuesAreNilAndNotOk) {
  for (std::string_view bytes : {"", "i", "i1234567", "d", "s", "s\5abc", "z", "ss"}) {
    TaggedReader in(bytes);
    EXPECT_EQ(in.Next().tag, Tag::kNil) << bytes;
    EXPECT_FALSE(in.ok()) << bytes;
    EXPECT_EQ(in.Next().tag, Tag::kNil);
    EXPECT_FALSE(in.ok());
  }
}

// Whoever reads a container loops over what it says it holds.
TEST(Tagged, AContainerLargerThanItsInputIsMalformed) {
  std::string bytes;
  TaggedWriter(bytes).List(1ull << 40);
  bytes += "nnn";
  TaggedReader list(bytes);
  EXPECT_EQ(list.Next().size, 0u);
  EXPECT_FALSE(list.ok());
  bytes.clear();
  TaggedWriter(bytes).Map(2);
  bytes += "nnn";  // the last value is missing
  TaggedReader map(bytes);
  EXPECT_EQ(map.Next().size, 0u);
  EXPECT_FALSE(map.ok());
  bytes += "n";
  TaggedReader whole(bytes);
  EXPECT_EQ(whole.Next().size, 2u);
  EXPECT_TRUE(whole.ok());
}

}  // namespace
}  // namespace bettong::grid
