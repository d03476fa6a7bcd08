// Windows that the engine feeds: before the handler, in its turn, and undone with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {
namespace {

using grid::TestShard;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TurnFeedsTest : public ::testing::Test {
 protected:
  TurnFeedsTest() : shard_(host_.catalog(), host_.get(), {.record_changes = true}) {}

  void Event(std::string script, TimeMs time_ms = kNoTime) {
    shard_.Event({.entity_class = kWindowed,
                  .key = "a",
                  .script = std::move(script),
                  .time_ms = time_ms,
                  .watermark_ms = kNoTime});
  }
  std::string Fed() { return shard_.Do("FIELD windowed:a fed"); }

  ScriptedHost host_;
  TestShard shard_;
};

TEST_F(TurnFeedsTest, AnEventIsAddedAtItsTimeWhenItReachesTheEntity) {
  Event("add 1", 40);
  Event("add 1", 110);
  EXPECT_THAT(Fed(), HasSubstr("\"count\":2,\"start\":-100,\"end\":200,\"sum\":150"));
  Event("add 1");  // without the field there is no value
  EXPECT_THAT(Fed(), HasSubstr("\"count\":2,"));
}

TEST_F(TurnFeedsTest, AHandlerThatRaisesUndoesIt) {
  Event("raise no", 40);
  EXPECT_EQ(shard_.Do("TYPE windowed:a"), "none");
  Event("add 1", 50);
  const std::string before = Fed();
  Event("window 5 900; raise no", 999);
  EXPECT_EQ(Fed(), before);
  Event("add 1", 60);
  EXPECT_THAT(Fed(), HasSubstr("\"count\":2,\"start\":-200,\"end\":100,\"sum\":110"));
}

TEST_F(TurnFeedsTest, WhatAWindowDoesNotTakeFailsTheTurn) {
  Event("add 1", 40);
  host_.TakeLog();
  shard_.TakeOutputs();
  Event("add 1", grid::kWindowTimeMax + 1);
  EXPECT_THAT(host_.TakeLog(), ElementsAre());
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre(HasSubstr("Windowed.fed does not take Ev.ts = ")));
  EXPECT_EQ(shard_.Do("FIELD windowed:a count"), "1");
}

TEST_F(TurnFeedsTest, AnotherShardThatAppliesTheChangesHoldsTheSame) {
  Event("window 5 40", 40);
  Event("window 6 40", 45);
  Event("raise no", 170);
  Event("window 7 180", 180);
  Event("delete", 190);
  Event("add 1", 200);
  TestShard other(host_.catalog(), nullptr);
  for (const auto& section : shard_.sections) {
    ASSERT_EQ(other.shard().Apply(section.view(), true), absl::OkStatus());
  }
  EXPECT_EQ(other.shard().Digest(), shard_.shard().Digest());
  EXPECT_THAT(other.Do("FIELD windowed:a fed"), HasSubstr("\"count\":1,"));
}

}  // namespace
}  // namespace bettong::compute
