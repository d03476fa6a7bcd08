#include "base/number_text.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace bettong {
namespace {

TEST(NumberText, ParsesTheIntegersThatRedisAccepts) {
  EXPECT_EQ(ParseInt("0"), 0);
  EXPECT_EQ(ParseInt("7"), 7);
  EXPECT_EQ(ParseInt("-7"), -7);
  EXPECT_EQ(ParseInt("10"), 10);
  EXPECT_EQ(ParseInt("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ParseInt("-9223372036854775808"), INT64_MIN);
}

TEST(NumberText, RefusesWhatIsNotExactlyAnInteger) {
  for (std::string_view text :
       {"", "-", "+1", " 1", "1 ", "01", "00", "-0", "-01", "1.0", "1e3", "0x10", "abc", "1a",
        "--1", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "\0001"}) {
    EXPECT_EQ(ParseInt(text), std::nullopt) << "'" << text << "'";
  }
  EXPECT_EQ(ParseInt(std::string_view("1\0", 2)), std::nullopt);
}

TEST(NumberText, ParsesFiniteDecimals) {
  EXPECT_EQ(ParseFloat("0"), 0.0);
  EXPECT_EQ(ParseFloat("-1.5"), -1.5);
  EXPECT_EQ(ParseFloat("+1.5"), 1.5);
  EXPECT_EQ(ParseFloat("1e3"), 1000.0);
  EXPECT_EQ(ParseFloat(".5"), 0.5);
  EXPECT_EQ(ParseFloat("5."), 5.0);
  EXPECT_EQ(ParseFloat("1.7976931348623157e308"), std::numeric_limits<double>::max());
}

TEST(NumberText, RefusesWhatIsNotAFiniteDecimal) {
  for (std::string_view text :
       {"", "+", "-", ".", "+-5", "++5", "--5", " 1", "1 ", "1,5", "nan", "inf", "-inf", "infinity",
        "0x1p3", "1e309", "-1e999", "1e", "abc"}) {
    EXPECT_EQ(ParseFloat(text), std::nullopt) << "'" << text << "'";
  }
}

TEST(NumberText, FloatsAreShortestAndReadBackTheSame) {
  auto text = [](double value) {
    std::string out;
    AppendFloat(value, out);
    return out;
  };
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(3), "3");
  EXPECT_EQ(text(-0.0), "-0");
  EXPECT_EQ(text(1e300), "1e+300");
  std::mt19937_64 random(3);
  for (int i = 0; i < 10000; ++i) {
    uint64_t bits = random();
    double value;
    std::memcpy(&value, &bits, 8);
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(ParseFloat(text(value)), value);
  }
}

TEST(NumberText, IntegersAreWrittenAtBothEnds) {
  std::string out;
  AppendInt(INT64_MIN, out);
  out += ",";
  AppendInt(INT64_MAX, out);
  out += ",";
  AppendInt(0, out);
  EXPECT_EQ(out, "-9223372036854775808,9223372036854775807,0");
}

}  // namespace
}  // namespace bettong
