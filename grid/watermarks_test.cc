#include "grid/watermarks.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace bettong::grid {
namespace {

class WatermarksTest : public ::testing::Test {
 protected:
  WatermarksTest() {
    const EventSchema timed{
        .name = "Timed", .fields = {{.name = "ts", .type = EventFieldType::kInt}}, .time_field = 0};
    catalog_.streams = {
        {.name = "one", .event = timed}, {.name = "two", .event = timed}, {.name = "untimed"}};
    catalog_.classes.push_back(
        {.name = "Both",
         .prefix = "both",
         .handlers = {{.stream = StreamId(0)}, {.stream = StreamId(1)}, {.stream = StreamId(2)}}});
    catalog_.classes.push_back({.name = "None", .prefix = "none"});
    EXPECT_EQ(catalog_.Finish(), "");
    marks_.emplace(catalog_);
  }

  static SourceRef Source(uint32_t id, uint16_t home = 0) { return {ShardId(home), SourceId(id)}; }
  bool Advance(uint32_t source, TimeMs time_ms, uint16_t stream = 0, uint16_t home = 0) {
    return marks_->Apply({.kind = WatermarkNote::Kind::kAdvance,
                          .stream = StreamId(stream),
                          .partition = Source(source, home),
                          .time_ms = time_ms});
  }
  bool Leave(uint32_t source, uint16_t stream = 0) {
    return marks_->Apply({.kind = WatermarkNote::Kind::kLeave,
                          .stream = StreamId(stream),
                          .partition = Source(source)});
  }
  void Hold(uint32_t expected) {
    marks_->Apply(
        {.kind = WatermarkNote::Kind::kHold, .stream = StreamId(0), .expected = expected});
  }
  TimeMs Mark(uint16_t stream = 0) { return marks_->OfStream(StreamId(stream)); }

  Catalog catalog_;
  std::optional<Watermarks> marks_;
  std::array<TimeMs, 8> seen_{};  // by source, of one test
};

TEST_F(WatermarksTest, ThereIsNoneBeforeTheFirstEvent) { EXPECT_EQ(Mark(), kNoTime); }

TEST_F(WatermarksTest, OnePartitionIsTheStream) {
  EXPECT_TRUE(Advance(1, 100));
  EXPECT_EQ(Mark(), 100);
  EXPECT_FALSE(Advance(1, 100));
  EXPECT_TRUE(Advance(1, 101));
  EXPECT_EQ(Mark(), 101);
}

TEST_F(WatermarksTest, ItIsTheLeastOfTheActivePartitions) {
  Advance(1, 100);
  Advance(2, 150);
  EXPECT_EQ(Mark(), 100);
  EXPECT_TRUE(Advance(1, 200));
  EXPECT_EQ(Mark(), 150);
  EXPECT_FALSE(Advance(1, 300));
  EXPECT_TRUE(Advance(2, 250));
  EXPECT_EQ(Mark(), 250);
}

TEST_F(WatermarksTest, PartitionsOfOneNumberAndTwoHomesAreTwo) {
  Advance(1, 100, 0, 0);
  Advance(1, 50, 0, 1);
  Advance(1, 200, 0, 0);
  EXPECT_EQ(Mark(), 100);
}

TEST_F(WatermarksTest, ItNeverGoesBack) {
  Advance(1, 100);
  EXPECT_FALSE(Advance(1, 50));
  EXPECT_EQ(Mark(), 100);
  EXPECT_FALSE(Advance(2, 10));  // a late joiner
  EXPECT_EQ(Mark(), 100);
  EXPECT_FALSE(Advance(1, 200));
  EXPECT_EQ(Mark(), 100);
  EXPECT_TRUE(Advance(2, 120));
  EXPECT_EQ(Mark(), 120);
}

TEST_F(WatermarksTest, WhoLeavesHoldsNobodyBack) {
  Advance(1, 100);
  Advance(2, 500);
  EXPECT_TRUE(Leave(1));
  EXPECT_EQ(Mark(), 500);
  EXPECT_FALSE(Leave(1));
  EXPECT_FALSE(Leave(77));
}

TEST_F(WatermarksTest, AfterTheLastItIsTheHighestTimeSeen) {
  Advance(1, 100);
  Advance(2, 900);
  Leave(2);
  EXPECT_EQ(Mark(), 100);
  EXPECT_TRUE(Leave(1));
  EXPECT_EQ(Mark(), 900);
}

TEST_F(WatermarksTest, ALeaverMayJoinAgain) {
  Advance(1, 100);
  Leave(1);
  Advance(1, 90);
  EXPECT_EQ(Mark(), 100);
  Advance(1, 300);
  EXPECT_EQ(Mark(), 300);
}

TEST_F(WatermarksTest, AHoldWaitsForSoManyToJoin) {
  Hold(3);
  EXPECT_FALSE(Advance(1, 100));
  EXPECT_FALSE(Advance(1, 200));
  EXPECT_FALSE(Advance(2, 150));
  EXPECT_EQ(Mark(), kNoTime);
  EXPECT_TRUE(Advance(3, 50));
  EXPECT_EQ(Mark(), 50);
}

TEST_F(WatermarksTest, AHoldCountsThoseThatHaveLeft) {
  Hold(2);
  Advance(1, 100);
  EXPECT_FALSE(Leave(1));
  EXPECT_EQ(Mark(), kNoTime);
  EXPECT_TRUE(Advance(2, 30));
  EXPECT_EQ(Mark(), 30);
}

TEST_F(WatermarksTest, HoldsOfSeveralSourcesAddUp) {
  Hold(1);
  Hold(1);
  Advance(1, 100);
  EXPECT_EQ(Mark(), kNoTime);
  Advance(2, 100);
  EXPECT_EQ(Mark(), 100);
}

TEST_F(WatermarksTest, AClassGoesByTheLeastOfItsStreams) {
  const ClassSchema& both = catalog_.classes[0];
  Advance(1, 100, 0);
  EXPECT_EQ(marks_->OfClass(both), kNoTime);
  Advance(1, 70, 1);
  EXPECT_EQ(marks_->OfClass(both), 70);
  Advance(1, 300, 1);
  EXPECT_EQ(marks_->OfClass(both), 100);
}

TEST_F(WatermarksTest, AClassWithoutHandlersHasNone) {
  Advance(1, 100);
  EXPECT_EQ(marks_->OfClass(catalog_.classes[1]), kNoTime);
}

TEST_F(WatermarksTest, WhatADoorWorksOutIsWhatANoteWouldBring) {
  std::mt19937 random(2);
  Hold(3);
  for (int i = 0; i < 5'000; ++i) {
    const uint32_t source = random() % 6;
    const TimeMs time_ms = static_cast<TimeMs>(random() % 50 + static_cast<uint32_t>(i));
    const WatermarkBeside beside = marks_->Beside(StreamId(0), Source(source));
    const uint64_t version = marks_->version();
    if (random() % 10 == 0) {
      Leave(source);
    } else {
      // A partition's own time only rises, at its door as here.
      Advance(source, std::max(time_ms, seen_[source]));
      ASSERT_EQ(beside.With(std::max(time_ms, seen_[source])), Mark()) << i;
      seen_[source] = std::max(time_ms, seen_[source]);
    }
    ASSERT_NE(marks_->version(), version);
  }
}

TEST_F(WatermarksTest, UnderRandomNotesItRisesAndStaysBelowEveryActivePartition) {
  std::mt19937 random(1);
  std::map<uint32_t, TimeMs> active;
  TimeMs before = kNoTime, highest = kNoTime;
  for (int i = 0; i < 20'000; ++i) {
    uint32_t source = random() % 8;
    if (random() % 10 == 0) {
      Leave(source);
      active.erase(source);
    } else {
      TimeMs time_ms = i + static_cast<TimeMs>(random() % 1000);
      highest = std::max(highest, time_ms);
      Advance(source, time_ms);
      auto [at, fresh] = active.emplace(source, time_ms);
      if (!fresh) at->second = std::max(at->second, time_ms);
    }
    TimeMs least = active.empty() ? highest : active.begin()->second;
    for (auto [id, seen] : active) least = std::min(least, seen);
    ASSERT_EQ(Mark(), std::max(before, least));
    before = Mark();
  }
}

}  // namespace
}  // namespace bettong::grid
