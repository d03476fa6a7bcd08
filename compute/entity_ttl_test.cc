// When entities expire, on both clocks, and what may keep them alive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {
namespace {

using grid::TestEvent;
using grid::TestShard;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EntityTtlTest : public ::testing::Test {
 protected:
  EntityTtlTest()
      : shard_(host_.catalog(), host_.get(),
               {.notify_classes = grid::kNotifyKeyevent | grid::kNotifyExpired}) {}

  std::string Do(std::string_view line) { return shard_.Do(line); }
  void Event(std::string key, std::string script, ClassId entity_class = kWall) {
    shard_.Event(
        {.entity_class = entity_class, .key = std::move(key), .script = std::move(script)});
  }
  // An event with a time, for a class with the event clock.
  void At(TimeMs time_ms, std::string script = "add 1", ClassId entity_class = kEvent) {
    shard_.Event({.entity_class = entity_class,
                  .key = "a",
                  .script = std::move(script),
                  .time_ms = time_ms});
  }
  // Both streams of kEvent.
  void Watermark(TimeMs time_ms) {
    shard_.Watermark(time_ms, 0);
    shard_.Watermark(time_ms, 1);
    shard_.Settle();
  }
  void Wait(TimeMs delay_ms) { shard_.AdvanceTo(shard_.now_ms + delay_ms); }
  std::string In(TimeMs delay_ms) { return std::to_string(shard_.now_ms + delay_ms); }

  ScriptedHost host_;
  TestShard shard_;
};

// --- wall clock

TEST_F(EntityTtlTest, ItExpiresWhenIdleForItsTtlAndOnExpireSeesTheState) {
  host_.on_expire = "count;time";
  Event("a", "add 42");
  Wait(kScriptedTtlMs - 1);
  EXPECT_EQ(Do("FIELD wall:a count"), "42");
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
  Wait(1);
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 42", "out " + In(0)));
  EXPECT_THAT(shard_.TakeNotifications(), ElementsAre("__keyevent@0__:expired wall:a"));
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_EQ(shard_.shard().stats().expired_keys, 1u);
  Wait(100'000);
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
}

TEST_F(EntityTtlTest, EventsRefreshAndClientsDoNot) {
  Event("a", "add 1");
  Wait(600);
  Event("a", "add 1");
  Wait(600);
  EXPECT_EQ(Do("FSET wall:a count 7"), "OK");
  EXPECT_EQ(Do("CALL wall:a run add 1"), "7");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(400));
  EXPECT_EQ(Do("CALL wall:a run touch"), "8");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(1000));
  Wait(1000);
  EXPECT_EQ(Do("TYPE wall:a"), "none");
}

TEST_F(EntityTtlTest, AnEventAfterTheEndMeetsAFreshEntityBehindTheExpiryTurn) {
  host_.on_expire = "count";
  Event("a", "add 42");
  host_.TakeLog();
  // Time has passed, but the wheel has not been asked yet.
  shard_.now_ms += kScriptedTtlMs;
  Event("a", "add 1;count");
  EXPECT_THAT(host_.log, ElementsAre("expire a", "create a", "event a"));
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 42", "out 1"));
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(kScriptedTtlMs));
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
}

TEST_F(EntityTtlTest, ACallAfterTheEndFindsNothing) {
  host_.on_expire = "emit gone";
  for (std::string command : {"run", "make"}) {
    Event("a", "add 42");
    shard_.now_ms += kScriptedTtlMs;
    std::string reply = Do("CALL wall:a " + command + " count");
    EXPECT_EQ(reply, command == "run"
                         ? "-ERR no such entity: 'wall:a' (Wall.run does not create one)"
                         : "0");
    EXPECT_EQ(shard_.TakeOutputs()[0], "out \"gone\"");
    Do("DEL wall:a");
  }
}

TEST_F(EntityTtlTest, WhatHasExpiredIsInvisibleBeforeItsExpiryTurn) {
  Event("a", "add 42");
  shard_.hold = true;
  Wait(kScriptedTtlMs);
  ASSERT_EQ(shard_.loans(), 1u);
  EXPECT_EQ(Do("FIELD wall:a count"), "nil");
  EXPECT_EQ(Do("TYPE wall:a"), "none");
  EXPECT_EQ(Do("SCAN 0 100"), "0");
  shard_.Drain();
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, WithoutOnExpireTheShardNeedsNoLane) {
  Event("a", "add 1", kQuiet);
  shard_.hold = true;
  Wait(kScriptedTtlMs);
  EXPECT_EQ(shard_.loans(), 0u);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_THAT(shard_.TakeNotifications(), ElementsAre("__keyevent@0__:expired quiet:a"));
}

TEST_F(EntityTtlTest, OnExpireMayKeepItAliveByTouch) {
  host_.on_expire = "touch;add 100;emit spared";
  Event("a", "add 1");
  Wait(kScriptedTtlMs);
  EXPECT_EQ(Do("FIELD wall:a count"), "101");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(kScriptedTtlMs));
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  EXPECT_THAT(shard_.TakeNotifications(), IsEmpty());
  EXPECT_EQ(shard_.shard().stats().expired_keys, 0u);
  host_.on_expire = "emit gone";
  Wait(kScriptedTtlMs);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"spared\"", "out \"gone\""));
}

TEST_F(EntityTtlTest, OnExpireMayKeepItAliveByAssigningTheTtl) {
  host_.on_expire = "ttl 50";
  Event("a", "add 1");
  Wait(kScriptedTtlMs);
  EXPECT_EQ(Do("DEADLINE wall:a"), In(50));
  host_.on_expire = "";
  Wait(50);
  EXPECT_EQ(Do("TYPE wall:a"), "none");
}

TEST_F(EntityTtlTest, KeptAliveBeforeAnEventItIsTheSameEntity) {
  host_.on_expire = "touch";
  Event("a", "add 42");
  host_.TakeLog();
  shard_.now_ms += 5000;
  Event("a", "add 1");
  EXPECT_THAT(host_.log, ElementsAre("expire a", "event a"));
  EXPECT_EQ(Do("FIELD wall:a count"), "43");
}

TEST_F(EntityTtlTest, ATtlThatIsOverAtOnceKeepsNothingAlive) {
  for (std::string script :
       {"ttl 0", "ttl -5", "ttl -9223372036854775808", "touch;ttl 0", "touch;delete"}) {
    host_.on_expire = script;
    Event("a", "add 1");
    Wait(kScriptedTtlMs);
    EXPECT_EQ(Do("DBSIZE"), "0/0/0") << script;
    EXPECT_THAT(host_.TakeLog(), ElementsAre("create a", "event a", "expire a")) << script;
  }
}

TEST_F(EntityTtlTest, OnExpireThatRaisesIsADeadLetterAndTheKeyGoes) {
  host_.on_expire = "add 5;touch;emit lost;raise boom";
  Event("a", "add 1");
  Wait(kScriptedTtlMs);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(
      outputs[0],
      HasSubstr(R"({"stream":null,"class":"Wall","key":"a","handler":"on_expire","event":null,)"
                R"("state":{"count":1)"));
  EXPECT_THAT(shard_.TakeNotifications(), ElementsAre("__keyevent@0__:expired wall:a"));
}

TEST_F(EntityTtlTest, AFailingEventBehindAnExpiryLeavesTheKeyGone) {
  host_.on_expire = "emit gone";
  Event("a", "add 1");
  shard_.now_ms += kScriptedTtlMs;
  Event("a", "raise boom");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs[0], "out \"gone\"");
  EXPECT_THAT(outputs[1], HasSubstr(R"("state":null,"error":"boom")"));
}

// The event that finds the TTL over is not what failed: its own turn comes next.
TEST_F(EntityTtlTest, TheLetterOfAnExpiryHasNoEventAlsoWhenAnEventBringsItAbout) {
  host_.on_expire = "raise boom";
  Event("a", "add 1");
  shard_.now_ms += kScriptedTtlMs;
  Event("a", "add 5");
  EXPECT_EQ(Do("FIELD wall:a count"), "5");
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(outputs[0], HasSubstr(R"({"stream":null,"class":"Wall","key":"a",)"
                                    R"("handler":"on_expire","event":null,"state":{"count":1)"));
}

TEST_F(EntityTtlTest, AnOwnTtlStaysUntilTheEntityGoes) {
  Event("a", "ttl 50");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(50));
  Wait(40);
  Event("a", "add 1");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(50));
  Event("a", "ttl 5000");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(5000));
  Wait(4999);
  EXPECT_EQ(Do("TYPE wall:a"), "entity");
  Wait(1);
  EXPECT_EQ(Do("TYPE wall:a"), "none");
  Event("a", "add 1");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(kScriptedTtlMs));
}

TEST_F(EntityTtlTest, AnOwnTtlWorksInAClassWithoutOne) {
  Event("a", "add 1", kPlain);
  EXPECT_EQ(Do("DEADLINE plain:a"), "never");
  EXPECT_EQ(Do("DBSIZE"), "1/0/1");
  Event("a", "ttl 10", kPlain);
  EXPECT_EQ(Do("DEADLINE plain:a"), In(10));
  Wait(10);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, TtlsBeyondTheEndOfTimeNeverEnd) {
  Event("a", "ttl 9223372036854775807");
  EXPECT_EQ(Do("DEADLINE wall:a"), "never");
  Wait(3'000'000'000'000);
  EXPECT_EQ(Do("TYPE wall:a"), "entity");
  Event("a", "ttl 100");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(100));
}

TEST_F(EntityTtlTest, ANegativeTtlEndsItWithTheBatch) {
  host_.on_expire = "emit gone";
  Event("a", "add 1;ttl -9223372036854775808");
  shard_.Settle();
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"gone\""));
}

TEST_F(EntityTtlTest, ExpireAndPersistHoldUntilTheNextRefresh) {
  Event("a", "add 1");
  Do("EXPIREAT wall:a " + In(100'000));
  Wait(50'000);
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
  Event("a", "add 1");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(kScriptedTtlMs));
  Do("PERSIST wall:a");
  EXPECT_EQ(Do("DBSIZE"), "1/0/1");
  Wait(50'000);
  EXPECT_EQ(Do("FIELD wall:a count"), "2");
  Event("a", "add 1");
  EXPECT_EQ(Do("DEADLINE wall:a"), In(kScriptedTtlMs));
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
}

TEST_F(EntityTtlTest, ExpireEndsAnEntityEarlyThroughItsExpiryTurn) {
  host_.on_expire = "count";
  Event("a", "add 42");
  Do("EXPIREAT wall:a " + In(10));
  Wait(10);
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 42"));
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, ARefreshOfAnEntityWithoutTtlEndsWhatExpireGave) {
  Event("a", "add 1", kPlain);
  Do("EXPIREAT plain:a " + In(10));
  Event("a", "add 1", kPlain);
  EXPECT_EQ(Do("DEADLINE plain:a"), "never");
  Do("EXPIREAT plain:a " + In(10));
  EXPECT_EQ(Do("CALL plain:a run add 1"), "2");
  EXPECT_EQ(Do("DEADLINE plain:a"), In(10)) << "a call refreshes nothing";
  Wait(10);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, RefreshesLeaveOneRecordPerEntity) {
  for (int i = 0; i < 2000; ++i) {
    Event("a", "add 1");
    Event("b", "add 1");
    Wait(1);
  }
  EXPECT_LE(shard_.shard().stats().deadline_records, 2u);
}

// --- event time

TEST_F(EntityTtlTest, InEventTimeItLivesForAnEventUpToItsTtlAndNotBeyond) {
  host_.on_expire = "count";
  At(10'000, "add 42");
  Wait(1'000'000);  // the wall clock is nothing to it
  At(10'000 + kScriptedTtlMs);
  EXPECT_EQ(Do("FIELD event:a count"), "43");
  EXPECT_EQ(Do("DEADLINE event:a"), std::to_string(10'000 + 2 * kScriptedTtlMs));
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
  host_.TakeLog();
  At(10'000 + 2 * kScriptedTtlMs + 1, "add 1");
  EXPECT_THAT(host_.log, ElementsAre("expire a", "event a"));
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 43"));
  EXPECT_EQ(Do("FIELD event:a count"), "1");
}

TEST_F(EntityTtlTest, AnEventOutOfOrderDoesNotBringTheEndNearer) {
  At(10'000);
  At(9'500);
  EXPECT_EQ(Do("DEADLINE event:a"), "11000");
  At(3'000);  // much older than the entity: alive, by 3000 - 10000 <= ttl
  EXPECT_EQ(Do("FIELD event:a count"), "3");
  EXPECT_EQ(Do("DEADLINE event:a"), "11000");
  At(11'000);
  EXPECT_EQ(Do("FIELD event:a count"), "4");
}

TEST_F(EntityTtlTest, WithoutAnEventItExpiresWhenTheWatermarkIsBeyondItsEnd) {
  host_.on_expire = "count;time";
  At(10'000, "add 42");
  Watermark(11'000);
  EXPECT_EQ(Do("FIELD event:a count"), "42");
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  Watermark(11'001);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 42", "out " + In(0)));
  EXPECT_THAT(shard_.TakeNotifications(), ElementsAre("__keyevent@0__:expired event:a"));
}

TEST_F(EntityTtlTest, TheWatermarkIsTheLeastOfTheStreamsTheClassHandles) {
  At(10'000);
  shard_.Watermark(50'000, 0);
  shard_.Settle();
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  shard_.Watermark(10'500, 1);
  shard_.Settle();
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  shard_.Watermark(11'001, 1);
  shard_.Settle();
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, WithoutOnExpireTheWatermarkEndsItOnTheShard) {
  At(10'000, "add 1", kCalm);
  shard_.hold = true;
  shard_.Watermark(11'000, 0);
  shard_.Settle();
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  shard_.Watermark(11'001, 0);
  shard_.Settle();
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_EQ(shard_.loans(), 0u);
}

TEST_F(EntityTtlTest, ARefreshInTimeOutrunsTheWatermark) {
  At(10'000);
  Watermark(10'900);
  At(10'950);
  Watermark(11'500);
  EXPECT_EQ(Do("FIELD event:a count"), "2");
  Watermark(11'950);
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  Watermark(11'951);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, TheWatermarkPassingWhileItIsLentCountsAtItsReturn) {
  host_.on_expire = "count";
  At(10'000, "add 1");
  shard_.hold = true;
  At(10'500, "add 1");
  Watermark(20'000);
  EXPECT_EQ(Do("TYPE event:a"), "none");
  shard_.Drain();
  shard_.Settle();
  shard_.Drain();
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out 2"));
}

TEST_F(EntityTtlTest, KeptAliveByTouchInEventTimeItLivesFromTheWatermarkOn) {
  host_.on_expire = "touch";
  At(10'000);
  Watermark(15'000);
  EXPECT_EQ(Do("DEADLINE event:a"), "16000");
  EXPECT_EQ(Do("FIELD event:a count"), "1");
  host_.on_expire = "";
  Watermark(16'000);
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  Watermark(16'001);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, KeptAliveBeforeALateComingEventItLivesFromThatEventOn) {
  host_.on_expire = "touch;add 100";
  At(10'000);
  At(20'000);
  EXPECT_EQ(Do("FIELD event:a count"), "102");
  EXPECT_EQ(Do("DEADLINE event:a"), "21000");
}

TEST_F(EntityTtlTest, ATtlAssignedInEventTimeCountsFromTheHighestTimeSeen) {
  At(10'000);
  At(9'000, "ttl 300");
  EXPECT_EQ(Do("DEADLINE event:a"), "10300");
  At(10'200);
  EXPECT_EQ(Do("DEADLINE event:a"), "10500");
  EXPECT_EQ(Do("CALL event:a run ttl 5000"), "2");
  EXPECT_EQ(Do("DEADLINE event:a"), "15200");
}

TEST_F(EntityTtlTest, ACallInEventTimeRefreshesOnlyWithTouch) {
  At(10'000);
  Watermark(10'400);
  EXPECT_EQ(Do("CALL event:a run add 1"), "1");
  EXPECT_EQ(Do("DEADLINE event:a"), "11000");
  EXPECT_EQ(Do("CALL event:a run touch"), "2");
  EXPECT_EQ(Do("DEADLINE event:a"), "11400");
}

TEST_F(EntityTtlTest, ACallBehindTheWatermarkFindsNothing) {
  host_.on_expire = "emit gone";
  At(10'000);
  // More are due than one slice takes: "a" may still wait for its turn.
  std::vector<TestEvent> others;
  for (int i = 0; i < 2000; ++i) {
    others.push_back({.entity_class = kEvent,
                      .key = "b" + std::to_string(i),
                      .script = "add 1",
                      .time_ms = 10'000});
  }
  shard_.Events(others);
  shard_.Watermark(50'000, 0);
  shard_.hold = true;
  shard_.Watermark(50'000, 1);
  int missing = 0;
  std::vector<uint64_t> calls;
  for (int i = 0; i < 2000; i += 100)
    calls.push_back(shard_.Ask("CALL event:b" + std::to_string(i) + " run add 1"));
  for (int i = 0; i < 2000; i += 100)
    EXPECT_EQ(Do("FIELD event:b" + std::to_string(i) + " count"), "(none)");
  shard_.hold = false;
  shard_.Drain();
  shard_.Settle();
  for (uint64_t call : calls)
    missing += shard_.Reply(call).value_or("").starts_with("-ERR no such entity");
  EXPECT_EQ(missing, 20);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityTtlTest, CreatedByACallInEventTimeItLivesFromTheWatermarkOn) {
  EXPECT_EQ(Do("CALL event:b make add 1"), "0");
  EXPECT_EQ(Do("DEADLINE event:b"), "never") << "no event time is known yet";
  Watermark(10'000);
  EXPECT_EQ(Do("CALL event:a make add 1"), "0");
  EXPECT_EQ(Do("DEADLINE event:a"), "11000");
  Watermark(11'001);
  EXPECT_EQ(Do("TYPE event:a"), "none");
  EXPECT_EQ(Do("TYPE event:b"), "entity");
}

TEST_F(EntityTtlTest, ManyEventTimeExpiriesComeInSlices) {
  std::vector<TestEvent> events;
  for (int i = 0; i < 3000; ++i) {
    events.push_back({.entity_class = kCalm,
                      .key = "k" + std::to_string(i),
                      .script = "add 1",
                      .time_ms = 10'000 + i % 10});
  }
  shard_.Events(events);
  size_t before = shard_.shard().key_count();
  EXPECT_EQ(before, 3000u);
  shard_.Watermark(12'000, 0);
  int slices = 1;
  while (shard_.shard().NextWake() <= shard_.now_ms) {
    shard_.Send({});
    ASSERT_LE(before - shard_.shard().key_count(), 1024u);
    before = shard_.shard().key_count();
    ++slices;
  }
  EXPECT_GE(slices, 6);
  EXPECT_EQ(shard_.shard().key_count(), 0u);
}

TEST_F(EntityTtlTest, ALateEventMeetsWhatTheWatermarkLeftInOneBatchAsInTwo) {
  for (bool one_batch : {true, false}) {
    ScriptedHost host;
    TestShard shard(host.catalog(), host.get());
    shard.Event({.entity_class = kCalm, .key = "a", .script = "add 1", .time_ms = 100'000});
    grid::WatermarkNote note{.stream = StreamId(0),
                             .partition = grid::SourceRef{ShardId(0), SourceId(1)},
                             .time_ms = 100'001 + kScriptedTtlMs};
    std::vector<grid::Message> messages(2);
    messages[0].kind = grid::MessageKind::kWatermark;
    messages[0].watermark = &note;
    messages[1].kind = grid::MessageKind::kEvents;
    messages[1].events =
        shard
            .MakeBatch({{.entity_class = kCalm, .key = "a", .script = "add 1", .time_ms = 100'000}})
            .release();
    if (!one_batch) {
      shard.Send({&messages[0], 1});
      messages.erase(messages.begin());
    }
    shard.Send(messages);
    // The first one had expired; the late event made a second, which is over as well.
    shard.Settle();
    EXPECT_EQ(shard.shard().stats().expired_keys, 2u) << one_batch;
    EXPECT_EQ(shard.Do("DBSIZE"), "0/0/0");
  }
}

TEST_F(EntityTtlTest, ATtlAssignedAfterNoneCountsFromTheWatermark) {
  At(100'000, "add 1;ttl 9223372036854775807", kCalm);
  shard_.Watermark(90'000);
  At(50'000, "ttl 10000", kCalm);
  EXPECT_EQ(Do("DEADLINE calm:a"), "100000");
  At(120'000, "ttl 9223372036854775807", kCalm);
  Do("CALL calm:a run ttl 10000");
  EXPECT_EQ(Do("DEADLINE calm:a"), "100000");
}

TEST_F(EntityTtlTest, TimesBeforeTheEpochWork) {
  At(-5000, "add 1", kCalm);
  At(-4000, "add 1", kCalm);
  EXPECT_EQ(Do("FIELD calm:a count"), "2");
  At(-2999, "add 1", kCalm);
  EXPECT_EQ(Do("FIELD calm:a count"), "1");
}

// --- both, against a model

TEST(EntityTtlProperty, ExactlyThoseLiveWhoseTtlHasNotPassed) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    ScriptedHost host;
    TestShard shard(host.catalog(), host.get());
    std::mt19937 random(seed);
    bool wall = seed % 2 == 0;
    ClassId entity_class = wall ? kQuiet : kCalm;
    std::map<std::string, TimeMs> last;
    TimeMs time_ms = 1'000'000, watermark = 0;
    for (int step = 0; step < 4000; ++step) {
      time_ms += static_cast<TimeMs>(random() % 20);
      if (wall) {
        shard.now_ms = time_ms;
      } else if (random() % 5 == 0) {
        watermark = time_ms;
        shard.Watermark(watermark, 0);
        shard.Settle();
      }
      std::string key = "k" + std::to_string(random() % 200);
      if (random() % 3 != 0) {
        // In event time up to 10 ms out of order, never behind the watermark.
        TimeMs at =
            wall ? time_ms : std::max(watermark, time_ms - static_cast<TimeMs>(random() % 10));
        auto before = last.find(key);
        bool alive = before != last.end() && (wall ? at < before->second + kScriptedTtlMs
                                                   : at <= before->second + kScriptedTtlMs);
        if (!alive) last[key] = at;
        last[key] = std::max(last[key], at);
        shard.Event({.entity_class = entity_class, .key = key, .script = "add 1", .time_ms = at});
      } else {
        auto at = last.find(key);
        bool alive = at != last.end() && (wall ? time_ms < at->second + kScriptedTtlMs
                                               : watermark <= at->second + kScriptedTtlMs);
        std::string name = (wall ? "quiet:" : "calm:") + key;
        ASSERT_EQ(shard.Do("TYPE " + name), alive ? "entity" : "none")
            << "seed " << seed << " step " << step;
      }
    }
    shard.Settle();
    size_t alive = 0;
    for (const auto& [key, at] : last) {
      alive += wall ? time_ms < at + kScriptedTtlMs : watermark <= at + kScriptedTtlMs;
    }
    EXPECT_EQ(shard.shard().key_count(), alive);
    EXPECT_GT(alive, 0u);
    EXPECT_LT(alive, last.size());
  }
}

}  // namespace
}  // namespace bettong::compute
