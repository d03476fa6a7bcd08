#include "server/top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/metrics_text.h"

namespace bettong::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MetricsPage Page(const std::string& text) {
  auto page = MetricsPage::Parse(text);
  EXPECT_TRUE(page.ok()) << page.status();
  return *page;
}

TEST(MetricsPage, ReadsWhatMetricsTextWrites) {
  MetricsText text;
  text.Family("a_total", MetricType::kCounter, "A.");
  text.Sample({{"one", "\"\\\n,}"}, {"two", "x"}}, uint64_t{3});
  text.Sample({{"two", "x"}}, 0.5);
  text.Sample({}, uint64_t{1});
  const MetricsPage page = Page(text.Take());
  EXPECT_EQ(page.samples("a_total")[0].label("one"), "\"\\\n,}");
  EXPECT_EQ(page.Sum("a_total"), 4.5);
  EXPECT_EQ(page.Sum("a_total", {{"two", "x"}}), 3.5);
  EXPECT_EQ(page.Sum("b"), 0);
}

TEST(MetricsPage, NamesTheLineThatIsNone) {
  for (const char* bad : {"a 1\n<html>\n", "a 1\nb{x=\"1 2\n", "a 1\nb{x} 2\n", "a 1\nb one\n"}) {
    const auto page = MetricsPage::Parse(bad);
    EXPECT_EQ(page.status().message(), "line 2 is no metric") << bad;
  }
}

TEST(MetricsPage, QuantilesAreOfWhatCameBetween) {
  Histogram one, other;
  const auto page = [&] {
    MetricsText text;
    text.Family("h_seconds", MetricType::kHistogram, "H.");
    text.Sample({{"shard", "0"}}, one.counts(), kMsScale);
    text.Sample({{"shard", "1"}}, other.counts(), kMsScale);
    return Page(text.Take());
  };
  one.Record(100'000, 1000);
  const MetricsPage before = page();
  EXPECT_EQ(QuantileBetween(before, before, "h_seconds", 0.5), std::nullopt);
  one.Record(2, 50);
  other.Record(4, 50);
  const MetricsPage after = page();
  EXPECT_DOUBLE_EQ(*QuantileBetween(before, after, "h_seconds", 0.5), 0.002);
  EXPECT_DOUBLE_EQ(*QuantileBetween(before, after, "h_seconds", 0.75), 0.0035);
  EXPECT_DOUBLE_EQ(*QuantileBetween(before, after, "h_seconds", 1), 0.004);
}

constexpr const char* kBefore =
    "bettong_uptime_seconds 10\n"
    "bettong_node_state{state=\"ready\"} 1\n"
    "bettong_shard_up{shard=\"0\"} 1\n"
    "bettong_shard_up{shard=\"1\"} 1\n"
    "bettong_events_admitted_total{shard=\"0\"} 500\n"
    "bettong_events_admitted_total{shard=\"1\"} 500\n";

TEST(TopScreen, ShowsRatesBetweenTheTwoLooks) {
  const MetricsPage after = Page(
      "bettong_uptime_seconds 12\n"
      "process_cpu_seconds_total 3\n"
      "bettong_node_state{state=\"ready\"} 1\n"
      "bettong_shard_up{shard=\"0\"} 1\n"
      "bettong_shard_up{shard=\"1\"} 0\n"
      "bettong_events_admitted_total{shard=\"0\"} 1234500\n"
      "bettong_events_admitted_total{shard=\"1\"} 1000500\n"
      "bettong_lane_busy_seconds_total 1.5\n"
      "bettong_lane_queue_turns 7\n"
      "bettong_sink_pending_bytes{sink=\"out\"} 1500\n");
  const std::string screen = TopScreen("here:1", Page(kBefore), after);
  EXPECT_THAT(screen, HasSubstr("bettong at here:1: ready, up 12 s, CPU 150%"));
  EXPECT_THAT(screen, HasSubstr("NO ANSWER from shard 1\n"));
  EXPECT_THAT(screen, HasSubstr("events/s             1,117,000   in all 2,235,000\n"));
  EXPECT_THAT(screen, HasSubstr("lane            busy 75%, queue 7 turns\n"));
  EXPECT_THAT(screen, HasSubstr("sink out        0 B/s, waiting 1.5 kB\n"));
}

TEST(TopScreen, ANodeThatRecoversOrWasStartedAnewHasNoRates) {
  const MetricsPage recovering = Page(
      "bettong_uptime_seconds 1\n"
      "bettong_node_state{state=\"recovering\"} 1\n"
      "bettong_recovery_ratio 0.42\n");
  std::string screen = TopScreen("here:1", recovering, recovering);
  EXPECT_THAT(screen, HasSubstr("recovering 42%, up 1 s"));
  EXPECT_THAT(screen, Not(HasSubstr("events/s")));
  MetricsPage after = Page(std::string(kBefore) + "x 1\n");
  screen = TopScreen("here:1", after, after);
  EXPECT_THAT(screen, HasSubstr("started anew"));
}

}  // namespace
}  // namespace bettong::server
