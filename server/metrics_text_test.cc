#include "server/metrics_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace bettong::server {
namespace {

TEST(MetricsText, FamiliesAndSamples) {
  MetricsText text;
  text.Family("a_total", MetricType::kCounter, "What \\ it is.\nReally.");
  text.Sample({}, uint64_t{18446744073709551615u});
  text.Sample({{"one", "1"}, {"two", "\"\\\n\xff"}}, 0.25);
  text.Family("b", MetricType::kGauge, "B.");
  text.Sample({}, std::numeric_limits<double>::infinity());
  text.Sample({{"x", ""}}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(text.Take(),
            "# HELP a_total What \\\\ it is.\\nReally.\n"
            "# TYPE a_total counter\n"
            "a_total 18446744073709551615\n"
            "a_total{one=\"1\",two=\"\\\"\\\\\\n\xef\xbf\xbd\"} 0.25\n"
            "# HELP b B.\n"
            "# TYPE b gauge\n"
            "b +Inf\n"
            "b{x=\"\"} NaN\n");
}

TEST(MetricsText, HistogramsAreCumulativeWithTheirUnitsBounds) {
  Histogram histogram;
  histogram.Record(0);
  histogram.Record(2, 3);
  histogram.Record(3);
  histogram.Record(9, 2);
  MetricsText text;
  text.Family("h_seconds", MetricType::kHistogram, "H.");
  text.Sample({{"shard", "0"}}, histogram.counts(), {1e3, 0, 3});
  EXPECT_EQ(text.Take(),
            "# HELP h_seconds H.\n"
            "# TYPE h_seconds histogram\n"
            "h_seconds_bucket{shard=\"0\",le=\"0.001\"} 1\n"
            "h_seconds_bucket{shard=\"0\",le=\"0.002\"} 4\n"
            "h_seconds_bucket{shard=\"0\",le=\"0.003\"} 5\n"
            "h_seconds_bucket{shard=\"0\",le=\"0.004\"} 5\n"
            "h_seconds_bucket{shard=\"0\",le=\"0.006\"} 5\n"
            "h_seconds_bucket{shard=\"0\",le=\"0.008\"} 5\n"
            "h_seconds_bucket{shard=\"0\",le=\"+Inf\"} 7\n"
            "h_seconds_sum{shard=\"0\"} 0.027\n"
            "h_seconds_count{shard=\"0\"} 7\n");
}

TEST(MetricsText, BoundsOfTimeBeginBelowTheFirstAndEndBeyondTheLast) {
  Histogram histogram;
  histogram.Record(1);
  histogram.Record(uint64_t{1} << 39);
  MetricsText text;
  text.Family("h_seconds", MetricType::kHistogram, "H.");
  text.Sample({}, histogram.counts(), kNsScale);
  const std::string page = text.Take();
  EXPECT_THAT(page, ::testing::HasSubstr("\nh_seconds_bucket{le=\"1.024e-06\"} 1\n"));
  EXPECT_THAT(page, ::testing::HasSubstr("\nh_seconds_bucket{le=\"137.438953472\"} 1\n"));
  EXPECT_THAT(page, ::testing::HasSubstr("\nh_seconds_bucket{le=\"+Inf\"} 2\n"));
}

}  // namespace
}  // namespace bettong::server
