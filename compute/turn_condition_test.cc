// Handlers with a condition: what there is of their turns while it does not hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {
namespace {

using grid::TestShard;
using grid::WindowPart;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = grid::ConditionTerm::Kind;

grid::ConditionTerm Count() {
  return {.kind = Kind::kWindow, .part = WindowPart::kCount, .at = kFed};
}
grid::ConditionTerm Int(int64_t value) { return {.kind = Kind::kInt, .integer = value}; }
grid::ConditionTerm Time() { return {.kind = Kind::kEventField, .at = 2}; }

class TurnConditionTest : public ::testing::Test {
 protected:
  // Holds from the third event that the window has; fails where the time squared, and squared
  // again, has more than 128 bits.
  TurnConditionTest()
      : host_([](grid::Catalog& catalog) {
          catalog.classes[kWindowed.value()].handlers[0].when.terms = {
              Count(),
              Int(3),
              {.kind = Kind::kGreaterEqual},
              Time(),
              Time(),
              {.kind = Kind::kMultiply},
              Time(),
              {.kind = Kind::kMultiply},
              Time(),
              {.kind = Kind::kMultiply},
              Int(-1),
              {.kind = Kind::kGreater},
              {.kind = Kind::kAnd},
          };
        }),
        shard_(host_.catalog(), host_.get(), {.record_changes = true}) {}

  void Event(std::string script, TimeMs time_ms) {
    shard_.Event({.entity_class = kWindowed,
                  .key = "a",
                  .script = std::move(script),
                  .time_ms = time_ms,
                  .watermark_ms = kNoTime});
  }
  std::string Field(const std::string& name) { return shard_.Do("FIELD windowed:a " + name); }

  ScriptedHost host_;
  TestShard shard_;
};

TEST_F(TurnConditionTest, IsJudgedByWhatTheEventHasFed) {
  Event("add 1", 40);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("create a"));
  Event("add 1", 50);
  EXPECT_THAT(host_.TakeLog(), ElementsAre());
  EXPECT_EQ(Field("count"), "0");
  EXPECT_THAT(Field("fed"), HasSubstr("\"count\":2,"));
  Event("add 1", 60);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("event a"));
  EXPECT_EQ(Field("count"), "1");
  Event("add 1", 999);  // a new window
  EXPECT_THAT(host_.TakeLog(), ElementsAre());
}

TEST_F(TurnConditionTest, AnEventForWhichItDoesNotHoldKeepsTheEntityAlive) {
  Event("add 1", 40);
  shard_.AdvanceTo(shard_.now_ms + kScriptedTtlMs - 1);
  Event("add 1", 40);
  shard_.AdvanceTo(shard_.now_ms + kScriptedTtlMs - 1);
  EXPECT_THAT(Field("fed"), HasSubstr("\"count\":2,"));
  host_.TakeLog();
  shard_.AdvanceTo(shard_.now_ms + 1);
  EXPECT_EQ(shard_.Do("TYPE windowed:a"), "none");
  EXPECT_THAT(host_.TakeLog(), ::testing::Contains("expire a"));
}

TEST_F(TurnConditionTest, IntsBeyond128BitsFailTheTurn) {
  Event("add 1", 40), Event("add 1", 50), Event("add 1", 60);
  const std::string before = Field("fed");
  host_.TakeLog();
  shard_.TakeOutputs();
  // In the window's range, and to the fourth more than 2^127.
  const TimeMs late_ms = TimeMs{1} << 40;
  Event("add 1", late_ms), Event("add 1", late_ms);
  shard_.TakeOutputs();
  const std::string two = Field("fed");
  Event("add 1", late_ms);
  EXPECT_THAT(host_.TakeLog(), ElementsAre());
  EXPECT_THAT(
      shard_.TakeOutputs(),
      ElementsAre(HasSubstr("OverflowError: Windowed.on_event: when= computes an int of more "
                            "than 128 bits")));
  EXPECT_EQ(Field("fed"), two);
  EXPECT_NE(Field("fed"), before);
}

TEST_F(TurnConditionTest, AnotherShardThatAppliesTheChangesHoldsTheSame) {
  for (const TimeMs at_ms : {40, 50, 60, 70, 200, 999, 1000, 1001}) Event("window 5 40", at_ms);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("create a", "event a", "event a", "event a", "event a"));
  TestShard other(host_.catalog(), nullptr);
  for (const auto& section : shard_.sections) {
    ASSERT_EQ(other.shard().Apply(section.view(), true), absl::OkStatus());
  }
  EXPECT_EQ(other.shard().Digest(), shard_.shard().Digest());
}

}  // namespace
}  // namespace bettong::compute
