#include "grid/rate_limit.h"

#include <gtest/gtest.h>

#include <random>

namespace bettong::grid {
namespace {

constexpr TimeMs kStart = 1'700'000'000'000;

int TakeAll(const RateLimit& limit, RateState& state, TimeMs now_ms) {
  int taken = 0;
  while (limit.Take(state, now_ms)) ++taken;
  return taken;
}

TEST(RateLimit, AFullBucketHoldsExactlyItsCount) {
  for (const uint32_t count : {1u, 3u, 7u, 100u, 999'999u, kRateCountMax}) {
    for (const int64_t per_ms : {int64_t{1}, int64_t{1000}, kRatePerMsMax}) {
      const RateLimit limit{.count = count, .per_ms = per_ms};
      RateState state;
      EXPECT_EQ(TakeAll(limit, state, kStart), static_cast<int>(count)) << per_ms;
    }
  }
}

TEST(RateLimit, TokensComeBackEvenly) {
  const RateLimit limit{.count = 4, .per_ms = 1000};
  RateState state;
  EXPECT_EQ(TakeAll(limit, state, kStart), 4);
  EXPECT_FALSE(limit.Take(state, kStart + 249));
  EXPECT_TRUE(limit.Take(state, kStart + 250));
  EXPECT_FALSE(limit.Take(state, kStart + 250));
  EXPECT_EQ(TakeAll(limit, state, kStart + 1000), 3);
  EXPECT_EQ(TakeAll(limit, state, kStart + 1000 + 999), 3);
  EXPECT_EQ(TakeAll(limit, state, kStart + 100'000), 4);
}

TEST(RateLimit, ARefusalTakesNothing) {
  const RateLimit limit{.count = 1, .per_ms = 100};
  RateState state;
  EXPECT_TRUE(limit.Take(state, kStart));
  for (TimeMs at = kStart; at < kStart + 100; ++at) EXPECT_FALSE(limit.Take(state, at));
  EXPECT_TRUE(limit.Take(state, kStart + 100));
}

TEST(RateLimit, TimesThatGoBackBringNothing) {
  const RateLimit limit{.count = 2, .per_ms = 100};
  RateState state;
  EXPECT_TRUE(limit.Take(state, kStart));
  EXPECT_TRUE(limit.Take(state, kStart - 50'000));
  EXPECT_FALSE(limit.Take(state, kStart - 90'000));
  EXPECT_FALSE(limit.Take(state, kStart + 49));
  EXPECT_TRUE(limit.Take(state, kStart + 50));
}

TEST(RateLimit, TheEndsOfTimeAreNoTrouble) {
  const RateLimit limit{.count = kRateCountMax, .per_ms = kRatePerMsMax};
  RateState state;
  EXPECT_TRUE(limit.Take(state, INT64_MIN));
  EXPECT_TRUE(limit.Take(state, INT64_MAX));
  EXPECT_EQ(TakeAll(limit, state, INT64_MAX), static_cast<int>(kRateCountMax) - 1);
}

// Against tokens counted one by one, at a rate that divides evenly.
TEST(RateLimit, AgreesWithABucketOfTokens) {
  const RateLimit limit{.count = 5, .per_ms = 50};
  std::mt19937 random(1);
  RateState state;
  TimeMs now_ms = kStart;
  TimeMs full_ms = kStart;  // when the bucket that is not full will be
  for (int i = 0; i < 100'000; ++i) {
    now_ms += static_cast<TimeMs>(random() % 17);
    full_ms = std::max(full_ms, now_ms);
    const TimeMs missing = (full_ms - now_ms + 9) / 10;
    const bool has = missing < 5;
    ASSERT_EQ(limit.Take(state, now_ms), has) << i;
    if (has) full_ms += 10;
  }
}

}  // namespace
}  // namespace bettong::grid
