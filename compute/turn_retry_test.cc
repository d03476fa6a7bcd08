// What becomes of turns that raise, by the policy of their handlers: skipped, or tried again while
// the rest of the key waits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {
namespace {

using grid::FailurePolicy;
using grid::TestShard;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

void SetPolicies(grid::Catalog& catalog) {
  const FailurePolicy retry{.kind = FailurePolicy::Kind::kRetry,
                            .retries_max = 2,
                            .backoff_ms = 100,
                            .backoff_ms_max = 1000,
                            .factor = 2};
  for (const ClassId id : {kPlain, kWall, kWindowed}) {
    catalog.classes[id.value()].handlers[0].on_error = retry;
  }
  catalog.classes[kQuiet.value()].handlers[0].on_error.kind = FailurePolicy::Kind::kSkip;
  catalog.classes[kWindowed.value()].on_error = retry;
}

class TurnRetryTest : public ::testing::Test {
 protected:
  TurnRetryTest()
      : host_(SetPolicies), shard_(host_.catalog(), host_.get(), {.record_changes = true}) {}

  void Event(std::string script, ClassId entity_class = kPlain, std::string key = "a") {
    shard_.Event(
        {.entity_class = entity_class, .key = std::move(key), .script = std::move(script)});
  }
  void Wait(TimeMs delay_ms) { shard_.AdvanceTo(shard_.now_ms + delay_ms); }

  ScriptedHost host_;
  TestShard shard_;
};

TEST_F(TurnRetryTest, ATurnIsTriedAgainWhenItsTimeHasCome) {
  host_.failures = 2;
  Event("add 1;emit done");
  EXPECT_THAT(host_.TakeLog(), ElementsAre("event a"));
  Wait(99);
  EXPECT_THAT(host_.TakeLog(), IsEmpty());
  Wait(1);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("event a"));
  Wait(199);
  EXPECT_THAT(host_.TakeLog(), IsEmpty());
  EXPECT_EQ(shard_.shard().stats().retries_pending, 1u);
  EXPECT_EQ(shard_.batches_out, 1u);
  Wait(1);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("event a"));
  EXPECT_EQ(shard_.Do("FIELD plain:a count"), "1");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"done\""));
  EXPECT_EQ(shard_.batches_out, 0u);
  EXPECT_EQ(shard_.shard().stats().retries_pending, 0u);
  EXPECT_EQ(shard_.shard().stats().events, 1u);
  EXPECT_EQ(shard_.shard().stats().turns_failed, 2u);
  EXPECT_EQ(host_.counters.Of("Plain", "on_event").retried.value(), 2u);
}

TEST_F(TurnRetryTest, InVainItBecomesALetterThatSaysHowOftenItWasTried) {
  Event("add 1;raise no");
  Wait(100);
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
  Wait(200);
  const std::vector<std::string> letters = shard_.TakeOutputs();
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_THAT(letters[0], HasSubstr("\"state\":null,\"attempts\":3,\"error\":\"no\""));
  EXPECT_EQ(shard_.Do("TYPE plain:a"), "none");
  EXPECT_EQ(shard_.batches_out, 0u);
  // The next one is tried as often.
  Event("raise no");
  Wait(100);
  Wait(200);
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre(HasSubstr("\"attempts\":3")));
}

TEST_F(TurnRetryTest, WhatTheLaneHadBehindItRunsBehindIt) {
  shard_.hold = true;
  Event("add 1");
  Event("add 10;count");
  const uint64_t call = shard_.Ask("CALL plain:a run add 100;reply called");
  Event("add 1000;count");
  host_.failures = 1;
  shard_.RunLoans(4);
  Event("add 10000;count");  // lent before the shard knows
  shard_.Return();
  Event("add 100000;count");  // and after
  shard_.RunAndReturn(1);
  EXPECT_EQ(shard_.loans(), 0u);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("event a"));
  EXPECT_EQ(shard_.Reply(call), std::nullopt);
  Wait(100);
  EXPECT_EQ(shard_.loans(), 6u);
  shard_.Drain();
  EXPECT_THAT(host_.TakeLog(),
              ElementsAre("event a", "event a", "call a", "event a", "event a", "event a"));
  EXPECT_EQ(shard_.Reply(call), "called");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 11", "out 1111", "out 11111", "out 111111"));
  EXPECT_EQ(shard_.shard().stats().loans_outstanding, 0u);
}

TEST_F(TurnRetryTest, ItsPlaceInTheLineStaysHoweverOftenItFails) {
  host_.failures = 2;
  Event("add 1");
  Event("add 10");
  Wait(100);
  Event("count");
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
  Wait(200);
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 11"));
}

TEST_F(TurnRetryTest, OtherKeysDoNotNotice) {
  host_.failures = 1;
  Event("add 1");
  Event("add 1;count", kPlain, "b");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 1"));
}

TEST_F(TurnRetryTest, ReadsAreAnsweredAndWritesWait) {
  Event("add 7;ring 3", kWindowed);
  host_.TakeLog();
  host_.failures = 1;
  Event("add 1;ring 4", kWindowed);
  EXPECT_EQ(shard_.Do("FIELD windowed:a count"), "7");
  EXPECT_EQ(shard_.Do("FIELD windowed:a ring"), "[3]");  // nobody is at its containers
  const uint64_t deleted = shard_.Ask("DEL windowed:a", 2);
  EXPECT_EQ(shard_.Reply(deleted), std::nullopt);
  // Of one connection in order.
  EXPECT_EQ(shard_.Do("FIELD windowed:a count", 2), "(none)");
  Wait(100);
  EXPECT_EQ(shard_.Reply(deleted), "1");
  EXPECT_EQ(shard_.Do("TYPE windowed:a"), "none");
}

TEST_F(TurnRetryTest, FlushAllWaitsForIt) {
  Event("add 1");
  host_.failures = 1;
  Event("add 1");
  const uint64_t flushed = shard_.Ask("FLUSHALL");
  EXPECT_EQ(shard_.Reply(flushed), std::nullopt);
  Wait(100);
  EXPECT_EQ(shard_.Reply(flushed), "OK");
  EXPECT_EQ(shard_.Do("TYPE plain:a"), "none");
}

TEST_F(TurnRetryTest, ACheckpointDoesNotWaitForIt) {
  Event("add 7;ring 3", kWindowed);
  shard_.hold = true;
  host_.failures = 1;
  Event("ring 4", kWindowed);
  shard_.shard().BeginRound();
  EXPECT_FALSE(shard_.shard().WriteImages(1 << 20));  // the lane has it
  shard_.Drain();
  EXPECT_TRUE(shard_.shard().WriteImages(1 << 20));
  shard_.shard().EndRound();
  // Nor one that begins only now.
  shard_.shard().BeginRound();
  EXPECT_TRUE(shard_.shard().WriteImages(1 << 20));
  shard_.shard().EndRound();
}

TEST_F(TurnRetryTest, TimersThatComeDueMeanwhileRunBeforeIt) {
  Event("after 50 quiet add 5", kWindowed);
  host_.TakeLog();
  host_.failures = 1;
  Event("count", kWindowed);
  Wait(60);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("event a"));
  Wait(40);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("timer a quiet", "event a"));
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 5"));
  // Its alarm is set again.
  Event("after 50 quiet add 5", kWindowed);
  Wait(50);
  EXPECT_EQ(shard_.Do("FIELD windowed:a count"), "10");
}

TEST_F(TurnRetryTest, WindowsThatCloseMeanwhileCloseBeforeIt) {
  Event("closing 5 50", kWindowed);
  host_.failures = 1;
  Event("count", kWindowed);
  host_.TakeLog();
  shard_.Watermark(1000);
  shard_.Settle();
  EXPECT_THAT(host_.TakeLog(), IsEmpty());
  Wait(100);
  EXPECT_THAT(host_.TakeLog(),
              ElementsAre("close a closing -100 100 1 5", "close a closing 0 200 1 5",
                          "close a session 50 200 1 5", "event a"));
}

TEST_F(TurnRetryTest, TheTtlGoesOnMeanwhile) {
  Event("add 1", kWall);
  Wait(kScriptedTtlMs - 50);
  host_.failures = 1;
  host_.TakeLog();
  Event("add 1;count", kWall);
  Wait(50);
  EXPECT_EQ(shard_.Do("TYPE wall:a"), "none");
  Wait(50);
  // The first try found it alive.
  EXPECT_THAT(host_.TakeLog(), ElementsAre("event a", "expire a", "create a", "event a"));
}

TEST_F(TurnRetryTest, TimersThatRaiseAreNotTriedAgain) {
  Event("after 50 quiet raise no", kWindowed);
  Wait(50);
  EXPECT_THAT(shard_.TakeOutputs(),
              ElementsAre(AllOf(HasSubstr("\"handler\":\"timer\""), Not(HasSubstr("attempts")))));
}

TEST_F(TurnRetryTest, ASkippedTurnLeavesNothingButACount) {
  Event("add 1", kQuiet);
  Event("add 1;emit no;raise no", kQuiet);
  EXPECT_EQ(shard_.Do("FIELD quiet:a count"), "1");
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
  EXPECT_EQ(shard_.shard().stats().turns_failed, 1u);
  EXPECT_EQ(host_.counters.Of("Quiet", "on_event").skipped.value(), 1u);
  EXPECT_EQ(shard_.batches_out, 0u);
}

TEST_F(TurnRetryTest, BeforeTheNodeStopsEventsThatNobodySendsAgainHaveTheirLastTry) {
  Event("raise no");
  Event("raise nor this");
  EXPECT_EQ(shard_.batches_out, 2u);
  shard_.shard().EndRetries();
  shard_.AdvanceTo(shard_.now_ms);
  EXPECT_THAT(shard_.TakeOutputs(),
              ElementsAre(HasSubstr("\"attempts\":2,\"error\":\"no\""),
                          AllOf(HasSubstr("\"error\":\"nor this\""), Not(HasSubstr("attempts")))));
  EXPECT_EQ(shard_.batches_out, 0u);
}

TEST_F(TurnRetryTest, ARetryThatIsAtTheLaneWhenTheNodeStopsIsTheLastButOne) {
  shard_.hold = true;
  Event("raise no");
  shard_.shard().EndRetries();
  shard_.RunAndReturn(1);
  shard_.hold = false;
  shard_.AdvanceTo(shard_.now_ms);
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre(HasSubstr("\"attempts\":2")));
}

TEST_F(TurnRetryTest, MoreThanASliceAreDueAtOnce) {
  host_.failures = 200;
  for (int i = 0; i < 200; ++i) Event("add 1", kPlain, std::to_string(i));
  EXPECT_EQ(shard_.shard().stats().retries_pending, 200u);
  Wait(100);
  EXPECT_EQ(shard_.shard().stats().retries_pending, 0u);
  EXPECT_EQ(shard_.shard().entity_count(kPlain), 200u);
}

// The first alarm of event time rings early: what has watched no watermark yet does not know how
// far away it is.
TEST_F(TurnRetryTest, AnAlarmThatRingsWhileTheEntityBacksOffIsSetAgain) {
  Event("closing 5 10", kWindowed);
  host_.failures = 1;
  Event("note here", kWindowed);
  shard_.Watermark(50);
  shard_.Settle();
  Wait(100);
  EXPECT_EQ(shard_.Do("FIELD windowed:a note"), "here");
  host_.TakeLog();
  shard_.Watermark(100);
  shard_.Settle();
  EXPECT_THAT(host_.TakeLog(), ElementsAre("close a closing -100 100 1 5"));
}

TEST_F(TurnRetryTest, SoIsOneThatRingsWhileTheLaneHasTheEntity) {
  Event("closing 5 10", kWindowed);
  shard_.hold = true;
  host_.failures = 1;
  Event("note here", kWindowed);
  shard_.Watermark(50);
  shard_.Settle();
  EXPECT_EQ(shard_.loans(), 3u);  // of both windows
  shard_.hold = false;
  shard_.Drain();
  Wait(100);
  EXPECT_EQ(shard_.Do("FIELD windowed:a note"), "here");
  host_.TakeLog();
  shard_.Watermark(100);
  shard_.Settle();
  EXPECT_THAT(host_.TakeLog(), ElementsAre("close a closing -100 100 1 5"));
}

}  // namespace
}  // namespace bettong::compute
