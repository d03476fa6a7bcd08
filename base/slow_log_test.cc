#include "base/slow_log.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

TEST(SlowLog, KeepsTheLastAndTellsTheNewestFirst) {
  SlowLog log;
  for (size_t i = 0; i <= kSlowLogEntriesMax; ++i) {
    log.Add({.took_ms = static_cast<int64_t>(i), .what = "work"});
  }
  EXPECT_EQ(log.size(), kSlowLogEntriesMax);
  const std::vector<SlowLogEntry> all = log.Last(SIZE_MAX);
  ASSERT_EQ(all.size(), kSlowLogEntriesMax);
  EXPECT_EQ(all.front().id, kSlowLogEntriesMax);
  EXPECT_EQ(all.front().took_ms, static_cast<int64_t>(kSlowLogEntriesMax));
  EXPECT_EQ(all.back().id, 1u);
  EXPECT_EQ(log.Last(2).back().id, kSlowLogEntriesMax - 1);
  EXPECT_TRUE(log.Last(0).empty());
}

TEST(SlowLog, NumbersGoOnAfterAReset) {
  SlowLog log;
  log.Add({.what = "one"});
  log.Reset();
  EXPECT_EQ(log.size(), 0u);
  log.Add({.what = "two"});
  EXPECT_EQ(log.Last(9).front().id, 1u);
}

}  // namespace
}  // namespace bettong
