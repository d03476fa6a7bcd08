// What entities do without a message: timers that are due, and windows that close.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {
namespace {

using grid::TestEvent;
using grid::TestShard;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TurnAlarmsTest : public ::testing::Test {
 protected:
  TurnAlarmsTest() : shard_(host_.catalog(), host_.get(), {.record_changes = true}) {}

  void Event(std::string script, TimeMs time_ms = kNoTime, TimeMs watermark_ms = kNoTime,
             std::string key = "a") {
    shard_.Event({.entity_class = kWindowed,
                  .key = std::move(key),
                  .script = std::move(script),
                  .time_ms = time_ms,
                  .watermark_ms = watermark_ms});
  }
  void Watermark(TimeMs time_ms) {
    shard_.Watermark(time_ms);
    shard_.Settle();
  }
  void Wait(TimeMs delay_ms) { shard_.AdvanceTo(shard_.now_ms + delay_ms); }
  // Methods that have run, creation and the event's own handler left out.
  std::vector<std::string> Ran() {
    std::vector<std::string> ran;
    for (std::string& line : host_.TakeLog()) {
      if (!line.starts_with("event") && !line.starts_with("create")) ran.push_back(line);
    }
    return ran;
  }
  std::string Field(std::string_view name, std::string_view key = "a") {
    return shard_.Do("FIELD windowed:" + std::string(key) + " " + std::string(name));
  }

  ScriptedHost host_;
  TestShard shard_;
};

// --- timers

TEST_F(TurnAlarmsTest, ATimerRunsOnceWhenItIsDue) {
  Event("after 300 quiet emit now;after 700 later add 5");
  Wait(299);
  EXPECT_THAT(Ran(), IsEmpty());
  Wait(1);
  EXPECT_THAT(Ran(), ElementsAre("timer a quiet"));
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"now\""));
  EXPECT_EQ(Field("count"), "0");
  Wait(400);
  EXPECT_THAT(Ran(), ElementsAre("timer a later"));
  EXPECT_EQ(Field("count"), "5");
  Wait(299);
  EXPECT_THAT(Ran(), IsEmpty());
  EXPECT_EQ(Field("timers"), "{}");
}

TEST_F(TurnAlarmsTest, OneOfTheSameNameTakesThePlaceOfTheOther) {
  Event("after 300 quiet add 1");
  Event("after 600 quiet add 10");
  Wait(599);
  EXPECT_EQ(Field("count"), "0");
  Event("after 100 quiet add 100");
  Wait(100);
  EXPECT_EQ(Field("count"), "100");
  Wait(800);
  EXPECT_EQ(Field("count"), "100");
}

TEST_F(TurnAlarmsTest, ACancelledOneDoesNotRun) {
  Event("after 300 quiet add 1;after 301 other add 10");
  Event("cancel quiet");
  Wait(400);
  EXPECT_EQ(Field("count"), "10");
}

TEST_F(TurnAlarmsTest, ItMaySetItselfAgain) {
  Event("after 100 tick after 100 tick add 1");
  Wait(100);
  EXPECT_THAT(Ran(), SizeIs(1));
  EXPECT_THAT(Field("timers"), HasSubstr("tick"));
  Wait(100);
  EXPECT_EQ(Field("count"), "1");
}

TEST_F(TurnAlarmsTest, WhatATurnSetsComesAfterItHoweverSoon) {
  Event("after 0 now add 1;after 0 then add 2");
  EXPECT_EQ(Field("count"), "0");
  Wait(1);
  EXPECT_EQ(Field("count"), "3");
}

TEST_F(TurnAlarmsTest, AFailedTurnSetsAndCancelsNothing) {
  Event("after 300 quiet add 1");
  Event("after 100 quiet add 10;after 100 other add 10;raise no");
  Event("cancel quiet;raise no");
  shard_.TakeOutputs();
  Wait(299);
  EXPECT_EQ(Field("count"), "0");
  Wait(1);
  EXPECT_EQ(Field("count"), "1");
}

TEST_F(TurnAlarmsTest, AFailedTimerLeavesALetterAndIsOver) {
  Event("add 7;after 300 quiet raise no way;after 400 next add 1");
  Wait(300);
  const auto letters = shard_.TakeOutputs();
  ASSERT_THAT(letters, SizeIs(1));
  EXPECT_THAT(letters[0], HasSubstr("no way"));
  EXPECT_THAT(letters[0], HasSubstr("\"key\":\"a\""));
  EXPECT_EQ(Field("count"), "7");
  Wait(100);
  EXPECT_EQ(Field("count"), "8");
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
}

TEST_F(TurnAlarmsTest, TimersEndWithTheEntity) {
  Event("after 1500 late emit late;after 999 soon emit soon");
  Wait(1000);  // the TTL is over, the timer before it has run
  EXPECT_THAT(Ran(), ElementsAre("timer a soon", "expire a"));
  Event("add 1");
  Wait(900);
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"soon\""));
  Event("after 50 x emit x");
  Event("delete");
  Event("add 1");
  Wait(100);
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
}

TEST_F(TurnAlarmsTest, OneThatTouchesKeepsTheEntity) {
  Event("after 900 alive touch");
  Wait(900);
  Wait(999);
  EXPECT_EQ(Field("count"), "0");
  Wait(1);
  EXPECT_THAT(Ran(), ElementsAre("timer a alive", "expire a"));
}

TEST_F(TurnAlarmsTest, OneThatDeletesEndsTheEntityWithoutOnExpire) {
  Event("after 300 end delete");
  Wait(300);
  EXPECT_EQ(shard_.shard().entity_count(), 0u);
  EXPECT_THAT(Ran(), ElementsAre("timer a end"));
}

// The alarm finds the entity lent: the turn that is out may be the one that cancels it.
TEST_F(TurnAlarmsTest, ItIsJudgedInTheOrderOfTurns) {
  Event("after 300 quiet add 1");
  shard_.hold = true;
  Event("cancel quiet");
  Wait(300);
  shard_.hold = false;
  shard_.Drain();
  EXPECT_EQ(Field("count"), "0");
  EXPECT_THAT(Ran(), IsEmpty());
}

TEST_F(TurnAlarmsTest, WhatIsDueComesBeforeAnEventThatComesLater) {
  Event("after 300 quiet note quiet");
  shard_.hold = true;
  shard_.now_ms += 300;
  Event("note event");
  shard_.hold = false;
  shard_.Drain();
  shard_.Settle();
  EXPECT_EQ(Field("note"), "event");
  EXPECT_THAT(Ran(), ElementsAre("timer a quiet"));
}

TEST_F(TurnAlarmsTest, PuttingATimerOffCostsNoMemory) {
  Event("after 900 quiet add 1");
  const uint64_t bytes = shard_.shard().used_memory_bytes();
  for (int i = 0; i < 5000; ++i) {
    if (i % 100 == 0) Wait(1);
    Event("after 900 quiet add 1");
  }
  EXPECT_LT(shard_.shard().used_memory_bytes(), bytes + 2000);
  Wait(899);
  EXPECT_EQ(Field("count"), "0");
  Wait(1);
  EXPECT_EQ(Field("count"), "1");
}

// --- windows that close

TEST_F(TurnAlarmsTest, AWindowClosesWhenTheWatermarkHasPassedItsEnd) {
  Event("closing 5 10;closing 7 90", 90);
  Watermark(99);
  EXPECT_THAT(Ran(), IsEmpty());
  Watermark(100);
  EXPECT_THAT(Ran(), ElementsAre("close a closing -100 100 2 12"));
  Watermark(1000);
  EXPECT_THAT(Ran(), ElementsAre("close a closing 0 200 2 12", "close a session 10 240 2 12"));
}

TEST_F(TurnAlarmsTest, WhatAnEventBringsAlongClosesBeforeItsOwnTurn) {
  Event("closing 5 10", 10, 10);
  host_.TakeLog();
  Event("closing 1 250", 250, 250);
  EXPECT_THAT(host_.TakeLog(),
              ElementsAre("close a closing -100 100 1 5", "close a session 10 160 1 5",
                          "close a closing 0 200 1 5", "event a"));
  Event("closing 1 20", 20, 250);  // late for both
  Watermark(10'000);
  EXPECT_THAT(Ran(), ElementsAre("close a closing 100 300 1 1", "close a closing 200 400 1 1",
                                 "close a session 250 400 1 1"));
}

TEST_F(TurnAlarmsTest, WhatIsOpenClosesBeforeTheEntityExpires) {
  host_.on_expire = "count";
  host_.on_close = "add 1";
  Event("closing 5 10", 10, 10);
  Wait(kScriptedTtlMs);
  EXPECT_THAT(Ran(), ElementsAre("close a closing -100 100 1 5", "close a closing 0 200 1 5",
                                 "close a session 10 160 1 5", "expire a"));
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 3"));
}

TEST_F(TurnAlarmsTest, AFailedClosingLeavesALetterAndTheWindowIsClosed) {
  host_.on_close = "add 1;raise no";
  Event("closing 5 10", 10, 10);
  Watermark(100);
  EXPECT_THAT(shard_.TakeOutputs(), SizeIs(1));
  EXPECT_EQ(Field("count"), "0");
  Watermark(100'000);
  EXPECT_THAT(shard_.TakeOutputs(), SizeIs(2));
  EXPECT_THAT(Field("session"), "{\"count\":0}");
}

TEST_F(TurnAlarmsTest, AClosingMayAddToOtherWindowsAndSetTimers) {
  host_.on_close = "window 3 50;after 10 t add 1";
  Event("closing 5 10", 10, 10);
  Watermark(100);
  EXPECT_THAT(Field("last"), HasSubstr("\"count\":1"));
  Wait(10);
  EXPECT_EQ(Field("count"), "1");
}

}  // namespace
}  // namespace bettong::compute
