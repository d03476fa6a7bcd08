#include "base/histogram.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace bettong {
namespace {

TEST(Histogram, BucketsFollowEachOtherWithoutGapOrOverlap) {
  uint64_t before = 0;
  for (size_t bucket = 0; bucket + 1 < Histogram::kBuckets; ++bucket) {
    const uint64_t bound = Histogram::UpperBound(bucket);
    ASSERT_GT(bound, before);
    EXPECT_EQ(Histogram::BucketOf(before + 1), bucket);
    EXPECT_EQ(Histogram::BucketOf(bound), bucket);
    // A quarter of a power of two wide, or a single value.
    EXPECT_LE(bound - before, std::max<uint64_t>(1, (before + 3) / 4));
    before = bound;
  }
  EXPECT_EQ(before, uint64_t{1} << Histogram::kValueBits);
}

TEST(Histogram, TheEndsTakeWhatIsBeyond) {
  EXPECT_EQ(Histogram::BucketOf(0), 0u);
  EXPECT_EQ(Histogram::BucketOf(1), 0u);
  EXPECT_EQ(Histogram::UpperBound(0), 1u);
  EXPECT_EQ(Histogram::BucketOf((uint64_t{1} << Histogram::kValueBits) + 1),
            Histogram::kBuckets - 1);
  EXPECT_EQ(Histogram::BucketOf(UINT64_MAX), Histogram::kBuckets - 1);
  EXPECT_EQ(Histogram::UpperBound(Histogram::kBuckets - 1), UINT64_MAX);
}

// The bounds that metrics are exported with.
TEST(Histogram, PowersOfTwoAndWhatIsHalfWayAreBounds) {
  for (int bit = 2; bit < Histogram::kValueBits; ++bit) {
    for (uint64_t bound : {uint64_t{1} << bit, uint64_t{3} << (bit - 1)}) {
      EXPECT_EQ(Histogram::UpperBound(Histogram::BucketOf(bound)), bound);
      EXPECT_EQ(Histogram::BucketOf(bound + 1), Histogram::BucketOf(bound) + 1);
    }
  }
}

TEST(Histogram, CountsWeightsAndSums) {
  Histogram histogram;
  histogram.Record(3);
  histogram.Record(1000, 5);
  histogram.Record(1024);
  histogram.Record(1025);
  histogram.Record(UINT64_MAX, 0);
  const Histogram::Counts counts = histogram.counts();
  EXPECT_EQ(counts.total(), 8u);
  EXPECT_EQ(counts.sum, 3u + 5 * 1000 + 1024 + 1025);
  EXPECT_EQ(counts.AtMost(2), 0u);
  EXPECT_EQ(counts.AtMost(3), 1u);
  EXPECT_EQ(counts.AtMost(1024), 7u);
  EXPECT_EQ(counts.AtMost(1280), 8u);
  EXPECT_EQ(counts.AtMost(UINT64_MAX), 8u);
}

TEST(Histogram, MergeAddsCountsAndSums) {
  Histogram one, other;
  one.Record(7, 2);
  other.Record(7);
  other.Record(100);
  Histogram::Counts merged = one.counts();
  merged.Merge(other.counts());
  EXPECT_EQ(merged.total(), 4u);
  EXPECT_EQ(merged.sum, 121u);
  EXPECT_EQ(merged.AtMost(7), 3u);
}

TEST(Histogram, IsReadWhileItIsRecorded) {
  Histogram histogram;
  std::atomic<bool> go{false};
  std::thread writer([&] {
    go.wait(false);
    for (int i = 0; i < 100'000; ++i) histogram.Record(10);
  });
  go = true;
  go.notify_one();
  uint64_t before = 0;
  while (before < 100'000) {
    const uint64_t now = histogram.counts().total();
    ASSERT_GE(now, before);
    before = now;
  }
  writer.join();
  EXPECT_EQ(histogram.counts().sum, 1'000'000u);
}

}  // namespace
}  // namespace bettong
