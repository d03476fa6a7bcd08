// The sketches by themselves, against what they estimate.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "grid/containers/hyperloglog.h"
#include "grid/containers/quantile_sketch.h"

namespace bettong::grid {
namespace {

template <typename Sketch>
std::string ImageOf(const Sketch& sketch) {
  std::string image;
  ByteWriter out(image);
  sketch.Encode(out);
  return image;
}
template <typename Sketch>
bool Decode(Sketch& sketch, std::string_view image) {
  ByteReader in(image);
  return sketch.Decode(in) && in.empty();
}

class HyperLogLogTest : public ::testing::TestWithParam<uint8_t> {};

// Over many runs the mean is right, and the root of the mean square is the standard error.
TEST_P(HyperLogLogTest, EstimatesWithinItsStandardError) {
  const uint8_t bits = GetParam();
  const double stated = 1.04 / std::sqrt(double(1u << bits));
  for (const int values : {1, 10, 100, 1000, 10'000, 40'000}) {
    double error = 0, squares = 0;
    constexpr int kRuns = 60;
    for (int run = 0; run < kRuns; ++run) {
      std::mt19937_64 random(static_cast<uint64_t>(run * 1000 + values));
      HyperLogLog sketch(bits);
      for (int i = 0; i < values; ++i) sketch.Add(random());
      const double off = sketch.Estimate() / values - 1;
      error += off / kRuns, squares += off * off / kRuns;
    }
    EXPECT_LT(std::sqrt(squares), 1.35 * stated) << values;
    EXPECT_LT(std::abs(error), 0.5 * stated) << values;
  }
}
INSTANTIATE_TEST_SUITE_P(Bits, HyperLogLogTest, ::testing::Values(4, 8, 12, 14, 16));

TEST(HyperLogLog, OfNothingIsNothing) {
  EXPECT_EQ(HyperLogLog(12).Estimate(), 0);
  EXPECT_EQ(HyperLogLog(12).heap_bytes(), 0u);
}

TEST(HyperLogLog, TheSameAgainChangesNothing) {
  HyperLogLog sketch(10);
  EXPECT_TRUE(sketch.Add(0x123456789abcdef0).any);
  EXPECT_FALSE(sketch.Add(0x123456789abcdef0).any);
  EXPECT_TRUE(sketch.Add(0).any);  // the rarest hash of all
  EXPECT_NEAR(sketch.Estimate(), 2, 0.01);
}

// At random sizes, on both sides of where the list becomes bytes.
TEST(HyperLogLog, MergesTakesBackAndDecodesExactly) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    const auto bits = static_cast<uint8_t>(4 + random() % 8);
    HyperLogLog a(bits), b(bits), both(bits);
    const auto some = [&] { return random() % (2u << bits); };
    for (uint64_t i = some(); i > 0; --i) {
      const uint64_t hash = random();
      a.Add(hash), both.Add(hash);
    }
    for (uint64_t i = some(); i > 0; --i) {
      const uint64_t hash = random();
      b.Add(hash), both.Add(hash);
    }
    const std::string before = ImageOf(a);
    std::vector<HyperLogLog::Change> changes;
    for (uint64_t i = some(); i > 0; --i) changes.push_back(a.Add(random()));
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) a.TakeBack(*change);
    ASSERT_EQ(ImageOf(a), before) << seed;
    HyperLogLog decoded(bits);
    ASSERT_TRUE(Decode(decoded, before));
    ASSERT_EQ(ImageOf(decoded), before);
    ASSERT_EQ(decoded.Estimate(), a.Estimate());
    a.Merge(b);
    ASSERT_EQ(ImageOf(a), ImageOf(both)) << seed;
    for (size_t cut = 0; cut < std::min<size_t>(before.size(), 40); ++cut) {
      HyperLogLog other(bits);
      ASSERT_FALSE(Decode(other, before.substr(0, cut)));
    }
  }
}

TEST(HyperLogLog, FewValuesAreSmall) {
  HyperLogLog sketch(14);
  std::mt19937_64 random(1);
  for (int i = 0; i < 10; ++i) sketch.Add(random());
  EXPECT_LE(sketch.heap_bytes(), 64u);
  for (int i = 0; i < 100'000; ++i) sketch.Add(random());
  EXPECT_EQ(sketch.heap_bytes(), 1u << 14);
}

// --- quantiles

class QuantileTest : public ::testing::TestWithParam<uint32_t> {};

TEST_P(QuantileTest, ABucketTellsEveryValueOfItWithinTheError) {
  const QuantileScale scale(GetParam());
  const double error = GetParam() / 1e6 * (1 + 1e-9);
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(-307, 308);
  std::vector<double> values = {1,
                                2,
                                4,
                                0.5,
                                3,
                                std::nextafter(1, 0),
                                std::nextafter(1, 2),
                                std::numeric_limits<double>::min(),
                                std::numeric_limits<double>::max()};
  for (int i = 0; i < 20'000; ++i) values.push_back(std::pow(10, exponent(random)));
  int32_t before = std::numeric_limits<int32_t>::min();
  for (const double value : values) {
    const int32_t bucket = scale.BucketOf(value);
    ASSERT_LE(std::abs(scale.ValueOf(bucket) / value - 1), error) << value;
    ASSERT_EQ(scale.BucketOf(-value), -bucket);
    ASSERT_EQ(scale.ValueOf(-bucket), -scale.ValueOf(bucket));
    ASSERT_GT(bucket, 0);
    ASSERT_LE(bucket, QuantileScale::kBucketMax);
  }
  std::sort(values.begin(), values.end());
  for (const double value : values) {
    ASSERT_GE(scale.BucketOf(value), before) << value;
    before = scale.BucketOf(value);
  }
  EXPECT_EQ(scale.BucketOf(0), 0);
  EXPECT_EQ(scale.BucketOf(-0.0), 0);
  EXPECT_EQ(scale.BucketOf(std::numeric_limits<double>::denorm_min()), 0);
}
INSTANTIATE_TEST_SUITE_P(Errors, QuantileTest,
                         ::testing::Values(kQuantileErrorMinPpm, 10'000, 20'000,
                                           kQuantileErrorMaxPpm));

TEST(QuantileSketch, TellsEveryQuantileWithinTheError) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937_64 random(seed);
    const QuantileScale scale(10'000);
    QuantileSketch sketch, part;
    std::vector<double> values;
    std::lognormal_distribution<double> latency(3, 2);
    const size_t count = 1 + random() % 3000;
    for (size_t i = 0; i < count; ++i) {
      const double value = latency(random) * (seed % 3 == 0 && random() % 2 == 0 ? -1 : 1);
      values.push_back(value);
      (random() % 2 == 0 ? sketch : part).Add(scale.BucketOf(value));
    }
    sketch.Merge(part);
    std::sort(values.begin(), values.end());
    for (const double share : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const double right = values[static_cast<size_t>(share * static_cast<double>(count - 1))];
      const double told = scale.ValueOf(*sketch.Quantile(share));
      ASSERT_LE(std::abs(told - right), 0.0100001 * std::abs(right)) << seed << " " << share;
    }
  }
  EXPECT_EQ(QuantileSketch().Quantile(0.5), std::nullopt);
}

TEST(QuantileSketch, BeyondItsBucketsTheLowestAreJoined) {
  QuantileSketch sketch;
  constexpr auto kMax = static_cast<int32_t>(kQuantileBucketsMax);
  for (int32_t bucket = 1; bucket <= kMax; ++bucket) {
    EXPECT_TRUE(sketch.Takes(bucket));
    sketch.Add(bucket);
  }
  EXPECT_EQ(sketch.Quantile(0), 1);
  EXPECT_TRUE(sketch.Takes(kMax));
  EXPECT_FALSE(sketch.Takes(kMax + 1));
  sketch.Add(kMax + 1);
  EXPECT_EQ(sketch.count(), kQuantileBucketsMax + 1);
  EXPECT_EQ(sketch.Quantile(0), 2);
  EXPECT_EQ(sketch.Quantile(1), kMax + 1);
  QuantileSketch other;
  other.Add(kMax + 2), other.Add(kMax + 3), other.Add(0);
  sketch.Merge(other);
  EXPECT_EQ(sketch.Quantile(0), 4);
  EXPECT_EQ(sketch.count(), kQuantileBucketsMax + 4);
  QuantileSketch decoded;
  EXPECT_TRUE(Decode(decoded, ImageOf(sketch)));
  EXPECT_EQ(ImageOf(decoded), ImageOf(sketch));
}

TEST(QuantileSketch, TakesBackAndDecodesExactly) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    QuantileSketch sketch;
    const auto bucket = [&] { return static_cast<int32_t>(random() % 300) - 150; };
    for (uint64_t i = random() % 400; i > 0; --i) sketch.Add(bucket());
    const std::string before = ImageOf(sketch);
    std::vector<int32_t> added;
    for (uint64_t i = random() % 400; i > 0; --i) sketch.Add(added.emplace_back(bucket()));
    for (auto each = added.rbegin(); each != added.rend(); ++each) sketch.TakeBack(*each);
    ASSERT_EQ(ImageOf(sketch), before);
    QuantileSketch decoded;
    ASSERT_TRUE(Decode(decoded, before));
    ASSERT_EQ(ImageOf(decoded), before);
    for (size_t cut = 0; cut < std::min<size_t>(before.size(), 40); ++cut) {
      QuantileSketch other;
      ASSERT_FALSE(Decode(other, before.substr(0, cut)));
    }
  }
}

}  // namespace
}  // namespace bettong::grid
