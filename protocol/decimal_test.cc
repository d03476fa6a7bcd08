#include "protocol/decimal.h"

#include <gtest/gtest.h>

#include <limits>

namespace bettong::protocol {
namespace {

std::string Sum(std::string_view a, std::string_view b) {
  return FormatDecimal(*ParseDecimal(a) + *ParseDecimal(b));
}

// As redis-server 7.0.15 answers INCRBYFLOAT.
TEST(Decimal, SumsPrintAsRedisPrintsThem) {
  EXPECT_EQ(Sum("10.50", "0.1"), "10.6");
  EXPECT_EQ(Sum("5.0e3", "200"), "5200");
  EXPECT_EQ(Sum("0.1", "0.2"), "0.3");
  EXPECT_EQ(Sum("3", "1.2345678901234567"), "4.2345678901234567");
  EXPECT_EQ(Sum("1e300", "0").size(), 301u) << "no exponent";
  EXPECT_EQ(Sum("0", "1e-20"), "0");
  EXPECT_EQ(Sum("-1", "1"), "0");
}

TEST(Decimal, OnlyWholeNumbersParse) {
  EXPECT_TRUE(ParseDecimal("0x10"));
  EXPECT_TRUE(ParseDecimal("inf"));
  for (const char* bad : {"", " 1", "1 ", "abc", "1.2.3", "nan", "1e5000"}) {
    EXPECT_FALSE(ParseDecimal(bad)) << bad;
  }
}

TEST(Decimal, DoublesAreShortest) {
  std::string text;
  for (double value :
       {0.1, 3.0, -2.5, std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    AppendDouble(value, text);
    text += ' ';
  }
  EXPECT_EQ(text, "0.1 3 -2.5 inf -inf nan ");
}

}  // namespace
}  // namespace bettong::protocol
