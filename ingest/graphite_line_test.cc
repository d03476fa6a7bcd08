#include "ingest/graphite_line.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "ingest/line_testing.h"

namespace bettong::ingest {
namespace {

std::string Read(std::string_view line) {
  GraphiteLine reader;
  return ReadLine(reader, line);
}

std::string Wrong(const char* what, int column) {
  return absl::StrCat("not valid Graphite plaintext: ", what, ", at column ", column);
}

// The examples of https://graphite.readthedocs.io (feeding carbon, tags), and what collectd sends.
TEST(GraphiteLine, ReadsWhatCarbonReads) {
  EXPECT_EQ(Read("local.random.diceroll 4 1556813561"),
            R"(metric="local.random.diceroll" value=4 time@1556813561000)");
  EXPECT_EQ(Read("my.series;tag1=value1;tag2=value2 2.5 1556813561"),
            R"(metric="my.series" tag1~"value1" tag2~"value2" value=2.5f time@1556813561000)");
  EXPECT_EQ(Read("disk.used;datacenter=dc1;rack=a1;server=web01 1e3 1556813561"),
            R"(metric="disk.used" datacenter~"dc1" rack~"a1" server~"web01" value=1000f )"
            "time@1556813561000");
  EXPECT_EQ(Read("web-01.cpu-0.cpu-idle 99.400000 1556813561\r\n"),
            R"(metric="web-01.cpu-0.cpu-idle" value=99.4f time@1556813561000)");
  EXPECT_EQ(Read("  a.b \t -1.5\t1556813561  "), R"(metric="a.b" value=-1.5f time@1556813561000)");
}

TEST(GraphiteLine, AMissingTimestampIsNow) {
  EXPECT_EQ(Read("a 1"), R"(metric="a" value=1 time@1700000000123)");
  EXPECT_EQ(Read("a 1 -1"), R"(metric="a" value=1 time@1700000000123)");
}

TEST(GraphiteLine, TimestampsMayHaveAFraction) {
  EXPECT_EQ(Read("a 1 1556813561.098"), R"(metric="a" value=1 time@1556813561098)");
  EXPECT_EQ(Read("a 1 1556813561.0986"), R"(metric="a" value=1 time@1556813561099)");
  EXPECT_EQ(Read("a 1 -1.5"), R"(metric="a" value=1 time@-1500)");
  EXPECT_EQ(Read("a 1 0"), R"(metric="a" value=1 time@0)");
}

TEST(GraphiteLine, NanIsNoEventAsForCarbon) {
  for (const char* nan : {"nan", "NaN", "NAN", "-nan"}) {
    EXPECT_EQ(Read(absl::StrCat("a ", nan, " 1556813561")), "-");
  }
}

TEST(GraphiteLine, WrongLinesAreNamedWithTheirColumn) {
  const char* const late =
      "the timestamp is not between the years 1691 and 2248 (is it in seconds?)";
  const struct {
    const char* line;
    const char* wrong;
    int column;
  } kCases[] = {
      {"a", "expected a value behind the metric", 2},
      {"a x 1", "expected a number", 3},
      {"a inf 1", "expected a number", 3},
      {"a 1e400 1", "a number beyond the largest double", 3},
      {"a 1 x", "expected the timestamp, in seconds", 5},
      {"a 1 1556813561098", late, 5},
      {"a 1 -1e300", late, 5},
      {"a 1 9223372036854775807", late, 5},
      {"a 1 1 1", "expected nothing behind the timestamp", 7},
      {";t=a 1 1", "the metric has no name", 1},
      {"a; 1 1", "a tag has no name", 3},
      {"a;t=b; 1 1", "a tag has no name", 7},
      {"a;=b 1 1", "a tag has no name", 3},
      {"a;t 1 1", "expected '=' behind a tag's name", 4},
      {"a;t=;u=v 1 1", "a tag has no value", 5},
      {"a\xc3 1 1", "bytes that are not UTF-8", 2},
  };
  for (const auto& [line, wrong, column] : kCases) {
    EXPECT_EQ(Read(line), Wrong(wrong, column)) << line;
  }
}

}  // namespace
}  // namespace bettong::ingest
