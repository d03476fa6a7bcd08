#include "server/replay_pace.h"

#include <gtest/gtest.h>

#include <chrono>

namespace bettong::server {
namespace {

using std::chrono::microseconds;

TEST(ReplayPace, EventsAreDueAsFarApartAsTheyWere) {
  ReplayPace pace(1);
  EXPECT_EQ(pace.DueAfter(5000), microseconds(0));
  EXPECT_EQ(pace.DueAfter(5250), microseconds(250'000));
  EXPECT_EQ(pace.span_ms(), 250);
}

TEST(ReplayPace, ASpeedDividesTheTimeBetweenThem) {
  ReplayPace fast(10), slow(0.5), max(0);
  fast.DueAfter(0), slow.DueAfter(0), max.DueAfter(0);
  EXPECT_EQ(fast.DueAfter(60'000), microseconds(6'000'000));
  EXPECT_EQ(slow.DueAfter(1), microseconds(2000));
  EXPECT_EQ(max.DueAfter(60'000), microseconds(0));
  EXPECT_EQ(max.span_ms(), 60'000);
}

TEST(ReplayPace, AnEventOutOfOrderIsDueWithTheOneBeforeIt) {
  ReplayPace pace(1);
  pace.DueAfter(1000);
  EXPECT_EQ(pace.DueAfter(3000), microseconds(2'000'000));
  EXPECT_EQ(pace.DueAfter(500), microseconds(2'000'000));
  EXPECT_EQ(pace.DueAfter(4000), microseconds(3'000'000));
}

TEST(ReplaySpeed, IsANumberOfTimesOrTheMost) {
  EXPECT_EQ(ParseReplaySpeed("10x"), 10);
  EXPECT_EQ(ParseReplaySpeed("0.5"), 0.5);
  EXPECT_EQ(ParseReplaySpeed("max"), 0);
  EXPECT_EQ(ParseReplaySpeed("1e6x"), kReplaySpeedMax);
  EXPECT_EQ(ParseReplaySpeed("1e-6x"), kReplaySpeedMin);
  for (const char* wrong :
       {"", "x", "fast", "-1x", "0x", "0", "10xx", "1000001x", "9e-7x", "inf"}) {
    EXPECT_EQ(ParseReplaySpeed(wrong), std::nullopt) << wrong;
  }
}

TEST(EventTimeReader, ReadsAnIntOfTheLinesOwnField) {
  EventTimeReader reader("ts");
  EXPECT_EQ(reader.Read(R"({"a": {"ts": 5}, "ts": 1700000000000})"), 1'700'000'000'000);
  for (const char* line : {R"({"t": 1})", R"({"ts": "1"})", R"({"ts": 1.5})", "[1]", "ts", ""}) {
    EXPECT_EQ(reader.Read(line), std::nullopt) << line;
  }
}

}  // namespace
}  // namespace bettong::server
