#include "ingest/influx_line.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "ingest/line_testing.h"

namespace bettong::ingest {
namespace {

std::string Read(std::string_view line, TimePrecision precision = TimePrecision::kNs) {
  InfluxLine reader(precision);
  return ReadLine(reader, line);
}

std::string Wrong(const char* what, int column) {
  return absl::StrCat("not valid InfluxDB line protocol: ", what, ", at column ", column);
}

// The examples of https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
TEST(InfluxLine, ReadsTheExamplesOfItsReference) {
  EXPECT_EQ(Read("measurementName,tagKey=tagValue fieldKey=\"fieldValue\" 1465839830100400200"),
            R"(measurement="measurementName" tagKey~"tagValue" fieldKey="fieldValue" )"
            "time@1465839830100");
  EXPECT_EQ(Read("myMeasurement,tag1=value1,tag2=value2 fieldKey=\"fieldValue\" "
                 "1556813561098000000"),
            R"(measurement="myMeasurement" tag1~"value1" tag2~"value2" fieldKey="fieldValue" )"
            "time@1556813561098");
  EXPECT_EQ(Read("myMeasurement fieldKey=1.0"),
            R"(measurement="myMeasurement" fieldKey=1f time@1700000000123)");
  EXPECT_EQ(Read("myMeasurement fieldKey=-1.234456e+78"),
            R"(measurement="myMeasurement" fieldKey=-1.234456e+78f time@1700000000123)");
  EXPECT_EQ(Read("myMeasurement fieldKey=12485903u"),
            R"(measurement="myMeasurement" fieldKey=12485903 time@1700000000123)");
  EXPECT_EQ(Read("myMeasurement fieldKey=\"\"\"\""),
            Wrong("expected ',' or a space behind a text", 26));
  EXPECT_EQ(Read("my\\ Measurement fieldKey=\"string value\""),
            R"(measurement="my Measurement" fieldKey="string value" time@1700000000123)");
  EXPECT_EQ(
      Read("myMeasurement fieldKey=\"\\\"string\\\" within a string\""),
      R"(measurement="myMeasurement" fieldKey=""string" within a string" time@1700000000123)");
  EXPECT_EQ(Read("myMeasurement,tag\\ Key1=tag\\ Value1,tag\\ Key2=tag\\ Value2 fieldKey=100"),
            R"(measurement="myMeasurement" tag Key1~"tag Value1" tag Key2~"tag Value2" )"
            "fieldKey=100 time@1700000000123");
  EXPECT_EQ(Read("myMeasurement,tagKey=\xf0\x9f\x8d\xad fieldKey=\"Launch \xf0\x9f\x9a\x80\" "
                 "1556813561098000000"),
            "measurement=\"myMeasurement\" tagKey~\"\xf0\x9f\x8d\xad\" "
            "fieldKey=\"Launch \xf0\x9f\x9a\x80\" time@1556813561098");
  EXPECT_EQ(Read("# This is a comment"), "-");
}

TEST(InfluxLine, CommentsAndSpaceAreNoEvents) {
  EXPECT_EQ(Read("#"), "-");
  EXPECT_EQ(Read("  # m v=1"), "-");
  EXPECT_EQ(Read("   "), "-");
  EXPECT_EQ(Read("  m v=1i  5000000  "), R"(measurement="m" v=1 time@5)");
  EXPECT_EQ(Read("m  v=1i 5000000\r\n"), R"(measurement="m" v=1 time@5)");
}

TEST(InfluxLine, ABackslashEscapesWhatWouldEndAName) {
  EXPECT_EQ(Read("a\\,b\\ c\\=d v=1 0"), R"(measurement="a,b c\=d" v=1 time@0)");
  EXPECT_EQ(Read("a=b v=1 0"), R"(measurement="a=b" v=1 time@0)");
  EXPECT_EQ(Read("m,t\\,\\=\\ k=v\\,\\=\\ w f\\,\\=\\ g=1 0"),
            R"(measurement="m" t,= k~"v,= w" f,= g=1 time@0)");
  EXPECT_EQ(Read("m,path=C:\\dir\\x v=1 0"), R"(measurement="m" path~"C:\dir\x" v=1 time@0)");
  EXPECT_EQ(Read("m,t=a\\\\,u=b v=1 0"), Wrong("a tag's value has an '=' without a backslash", 10));
  EXPECT_EQ(Read("m,t=\"a\",u=b v=1 0"), R"(measurement="m" t~""a"" u~"b" v=1 time@0)");
}

TEST(InfluxLine, ABackslashEscapesQuotesAndBackslashesOfATextOnly) {
  EXPECT_EQ(Read(R"(m v="a, b=c # \"d\" \\ \n \" 0)"),
            Wrong("the quotes of a text are not closed", 5));
  EXPECT_EQ(Read(R"(m v="a, b=c # \"d\" \\ \n",w="" 0)"),
            R"(measurement="m" v="a, b=c # "d" \ \n" w="" time@0)");
  EXPECT_EQ(Read(R"(m v="\\" 0)"), R"(measurement="m" v="\" time@0)");
}

TEST(InfluxLine, ValuesHaveTypes) {
  const struct {
    const char* text;
    const char* value;
  } kCases[] = {
      {"1i", "1"},
      {"-1i", "-1"},
      {"+7i", "7"},
      {"9223372036854775807i", "9223372036854775807"},
      {"-9223372036854775808i", "-9223372036854775808"},
      {"0u", "0"},
      {"9223372036854775807u", "9223372036854775807"},
      {"18446744073709551615u", "18446744073709551616f"},
      {"1", "1"},
      {"1.0", "1f"},
      {"+1.5", "1.5f"},
      {"1.", "1f"},
      {".5", "0.5f"},
      {"-.5e-1", "-0.05f"},
      {"1e3", "1000f"},
      {"1E+3", "1000f"},
      {"-0", "0"},
      {"123456789012345678901234567890", "1.2345678901234568e+29f"},
      {"1.7976931348623157e308", "1.7976931348623157e+308f"},
      {"1e-400", "0f"},
      {"-0.0e-400", "-0f"},
  };
  for (const auto& [text, value] : kCases) {
    EXPECT_EQ(Read(absl::StrCat("m v=", text, " 0")),
              absl::StrCat("measurement=\"m\" v=", value, " time@0"))
        << text;
  }
  for (const char* text : {"t", "T", "true", "True", "TRUE"}) {
    EXPECT_EQ(Read(absl::StrCat("m v=", text, " 0")), "measurement=\"m\" v=true time@0");
  }
  for (const char* text : {"f", "F", "false", "False", "FALSE"}) {
    EXPECT_EQ(Read(absl::StrCat("m v=", text, " 0")), "measurement=\"m\" v=false time@0");
  }
}

TEST(InfluxLine, WrongValuesAreNamedWithTheirColumn) {
  const char* const number = "expected a number, a bool or a text in quotes";
  const struct {
    const char* text;
    const char* wrong;
  } kCases[] = {
      {"abc", number},
      {"tRUE", number},
      {"1x", number},
      {"1ii", number},
      {"i", number},
      {"u", number},
      {"-", number},
      {"+-1", number},
      {"--1", number},
      {".", number},
      {"1e", number},
      {"1.2.3", number},
      {"0x10", number},
      {"1.0i", number},
      {"1e3i", number},
      {"NaN", number},
      {"inf", number},
      {"-inf", number},
      {"'x'", number},
      {"1e400", "a number beyond the largest double"},
      {"9223372036854775808i", "an integer beyond 64 bits"},
      {"-9223372036854775809i", "an integer beyond 64 bits"},
      {"18446744073709551616u", "an unsigned integer beyond 64 bits"},
      {"-1u", "an unsigned integer below 0"},
  };
  for (const auto& [text, wrong] : kCases) {
    EXPECT_EQ(Read(absl::StrCat("m v=", text, " 0")), Wrong(wrong, 5)) << text;
  }
}

TEST(InfluxLine, WrongLinesAreNamedWithTheirColumn) {
  const struct {
    const char* line;
    const char* wrong;
    int column;
  } kCases[] = {
      {"m", "there are no fields", 2},
      {"m ", "there are no fields", 3},
      {"m,t=a", "there are no fields", 6},
      {"m,t=a ", "there are no fields", 7},
      {",t=a v=1", "the measurement has no name", 1},
      {"m, v=1", "a tag has no name", 3},
      {"m,=a v=1", "a tag has no name", 3},
      {"m,t v=1", "expected '=' behind a tag's name", 4},
      {"m,t= v=1", "a tag has no value", 5},
      {"m,t=,u=a v=1", "a tag has no value", 5},
      {"m,t=a=b v=1", "a tag's value has an '=' without a backslash", 6},
      {"m v", "expected '=' behind a field's name", 4},
      {"m v,w=1", "expected '=' behind a field's name", 4},
      {"m =1", "a field has no name", 3},
      {"m v=1,", "a field has no name", 7},
      {"m v=1,,w=2", "a field has no name", 7},
      {"m v=", "a field has no value", 5},
      {"m v=,w=1", "a field has no value", 5},
      {"m v= 5", "a field has no value", 5},
      {"m v=\"a", "the quotes of a text are not closed", 5},
      {"m v=\"a\\\"", "the quotes of a text are not closed", 5},
      {"m v=\"a\"b", "expected ',' or a space behind a text", 8},
      {"m v=1 x", "expected the timestamp, an integer", 7},
      {"m v=1 1.5", "expected the timestamp, an integer", 7},
      {"m v=1 w=2", "expected the timestamp, an integer", 7},
      {"m v=1 1 2", "expected nothing behind the timestamp", 9},
      {"m v=\xff", "bytes that are not UTF-8", 5},
  };
  for (const auto& [line, wrong, column] : kCases) {
    EXPECT_EQ(Read(line), Wrong(wrong, column)) << line;
  }
}

TEST(InfluxLine, TimestampsAreInTheSourcesPrecision) {
  EXPECT_EQ(Read("m v=1 1556813561098999999"), R"(measurement="m" v=1 time@1556813561098)");
  EXPECT_EQ(Read("m v=1 1556813561098999", TimePrecision::kUs),
            R"(measurement="m" v=1 time@1556813561098)");
  EXPECT_EQ(Read("m v=1 1556813561098", TimePrecision::kMs),
            R"(measurement="m" v=1 time@1556813561098)");
  EXPECT_EQ(Read("m v=1 1556813561", TimePrecision::kS),
            R"(measurement="m" v=1 time@1556813561000)");
  // Before 1970 towards the past, too.
  EXPECT_EQ(Read("m v=1 -1"), R"(measurement="m" v=1 time@-1)");
  EXPECT_EQ(Read("m v=1 -1000000"), R"(measurement="m" v=1 time@-1)");
  EXPECT_EQ(Read("m v=1 -1000001"), R"(measurement="m" v=1 time@-2)");
}

TEST(InfluxLine, ATimestampInAnotherPrecisionIsWrong) {
  const std::string wrong = Wrong(
      "the timestamp is not between the years 1691 and 2248 (is it in the source's precision?)", 7);
  EXPECT_EQ(Read("m v=1 1556813561098000000", TimePrecision::kS), wrong);
  EXPECT_EQ(Read("m v=1 1556813561098000000", TimePrecision::kMs), wrong);
  EXPECT_EQ(Read("m v=1 9223372036854775808"), wrong);
  EXPECT_EQ(Read("m v=1 -9223372036854775808", TimePrecision::kS), wrong);
  EXPECT_EQ(Read("m v=1 9223372036854775807", TimePrecision::kUs), wrong);
  EXPECT_EQ(Read("m v=1 8796093022208", TimePrecision::kMs),
            R"(measurement="m" v=1 time@8796093022208)");
  EXPECT_EQ(Read("m v=1 8796093022209", TimePrecision::kMs), wrong);
}

TEST(InfluxLine, ALineAfterAWrongOneIsReadFromItsBegin) {
  InfluxLine reader(TimePrecision::kNs);
  EXPECT_EQ(ReadLine(reader, "m v=\"a"), Wrong("the quotes of a text are not closed", 5));
  EXPECT_EQ(ReadLine(reader, "m v=\"a\\\"b\" 0"), R"(measurement="m" v="a"b" time@0)");
  EXPECT_EQ(ReadLine(reader, "m v=2 0"), R"(measurement="m" v=2 time@0)");
}

}  // namespace
}  // namespace bettong::ingest
