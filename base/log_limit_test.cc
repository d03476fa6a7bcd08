#include "base/log_limit.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(LogLimit, ABurstPassesThenOneAnInterval) {
  LogLimit limit(3, seconds(1));
  LogLimit::Clock::time_point now{};
  now += seconds(1000);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Admit(now), 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limit.Admit(now), std::nullopt);
  EXPECT_EQ(limit.Admit(now + milliseconds(999)), std::nullopt);
  EXPECT_EQ(limit.Admit(now + milliseconds(1000)), 6u);
  EXPECT_EQ(limit.Admit(now + milliseconds(1999)), std::nullopt);
  EXPECT_EQ(limit.Admit(now + milliseconds(2000)), 1u);
}

TEST(LogLimit, QuietEarnsNoMoreThanABurst) {
  LogLimit limit(2, seconds(1));
  LogLimit::Clock::time_point now{};
  for (int round = 0; round < 3; ++round) {
    now += seconds(3600);
    EXPECT_TRUE(limit.Admit(now));
    EXPECT_TRUE(limit.Admit(now));
    EXPECT_FALSE(limit.Admit(now));
  }
}

}  // namespace
}  // namespace bettong
