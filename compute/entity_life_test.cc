// Entities on a shard, end to end through TurnRunner: creation, failing turns, deletion, outputs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {
namespace {

using grid::TestShard;
using grid::TurnKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EntityLifeTest : public ::testing::Test {
 protected:
  EntityLifeTest() : shard_(host_.catalog(), host_.get(), {.notify_classes = ~0u}) {}

  std::string Do(std::string_view line) { return shard_.Do(line); }
  void Event(std::string key, std::string script, ClassId entity_class = kWall) {
    shard_.Event(
        {.entity_class = entity_class, .key = std::move(key), .script = std::move(script)});
  }

  ScriptedHost host_;
  TestShard shard_;
  uint64_t empty_bytes_ = shard_.shard().value_bytes();
  uint64_t sequence_ = 1000;
};

TEST_F(EntityLifeTest, TheFirstEventCreatesTheEntityAndRunsOnCreateFirst) {
  host_.on_create = "add 10;note made";
  Event("a", "add 1");
  EXPECT_THAT(host_.log, ElementsAre("create a", "event a"));
  EXPECT_EQ(Do("FIELD wall:a count"), "11");
  EXPECT_EQ(Do("FIELD wall:a note"), "made");
  EXPECT_EQ(Do("FIELD wall:a maybe"), "");
  EXPECT_EQ(Do("TYPE wall:a"), "entity");
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
  Event("a", "add 1");
  EXPECT_EQ(Do("FIELD wall:a count"), "12");
  EXPECT_EQ(host_.log.size(), 3u);
}

TEST_F(EntityLifeTest, ReadingCreatesNothing) {
  EXPECT_EQ(Do("FIELD wall:a count"), "nil");
  EXPECT_EQ(Do("TYPE wall:a"), "none");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityLifeTest, EveryKindOfFieldIsCommitted) {
  for (ClassId entity_class : {kPlain, kLarge}) {
    std::string key = entity_class == kPlain ? "plain:a" : "large:a";
    Event("a", "add -5;note " + std::string(100, 'n') + ";maybe 7;pane 2 9", entity_class);
    EXPECT_EQ(Do("FIELD " + key + " count"), "-5");
    EXPECT_EQ(Do("FIELD " + key + " note"), std::string(100, 'n'));
    EXPECT_EQ(Do("FIELD " + key + " maybe"), "7");
    EXPECT_EQ(Do("FIELD " + key + " panes").substr(0, 6), "[0,0,9");
    Event("a", "null;note short;pane 0 -1", entity_class);
    EXPECT_EQ(Do("FIELD " + key + " maybe"), "");
    EXPECT_EQ(Do("FIELD " + key + " note"), "short");
    EXPECT_EQ(Do("FIELD " + key + " panes").substr(0, 7), "[-1,0,9");
  }
}

TEST_F(EntityLifeTest, FlushAllIsAnsweredWhenLentEntitiesAreGoneToo) {
  Event("a", "add 1");
  shard_.hold = true;
  Event("a", "add 1");
  Event("b", "add 1");
  uint64_t flush = shard_.Ask("FLUSHALL", 7);
  uint64_t read = shard_.Ask("FIELD wall:a count", 7);  // behind it on its connection: it waits
  EXPECT_EQ(Do("FIELD wall:a count"), "1");             // others see what is committed
  shard_.RunAndReturn(1);
  EXPECT_EQ(shard_.Reply(flush), std::nullopt);
  shard_.RunAndReturn(1);
  EXPECT_EQ(shard_.Reply(flush), "OK");
  EXPECT_EQ(shard_.Reply(read), "nil");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(EntityLifeTest, AFailedTurnsOutputsLeaveNoBytesBehind) {
  Event("a", "emit " + std::string(1000, 'x') + ";raise boom");
  // The dead letter quotes the event once.
  EXPECT_LT(shard_.result_bytes, 1500u);
}

TEST_F(EntityLifeTest, MoreEntitiesMayBeLentThanAnEntryCanNumber) {
  constexpr int kEntities = 70'000;
  shard_.hold = true;
  for (int round = 0; round < 2; ++round) {
    for (int begin = 0; begin < kEntities; begin += 1000) {
      std::vector<grid::TestEvent> events;
      for (int i = begin; i < begin + 1000; ++i) {
        events.push_back({.entity_class = kWall,
                          .key = std::to_string(i),
                          .script = "add " + std::to_string(i)});
      }
      shard_.Events(events);
    }
    shard_.Event({.entity_class = kWall, .key = "69999", .script = "add 1"});
    EXPECT_EQ(Do("FIELD wall:69999 count"), round == 0 ? "nil" : "70000");
    while (shard_.loans() > 0) shard_.RunAndReturn(std::min<size_t>(shard_.loans(), 1000));
  }
  EXPECT_EQ(Do("DBSIZE"), "70000/70000/70000");
  for (int i : {0, 1, 65'534, 65'535, 65'536}) {
    EXPECT_EQ(Do("FIELD wall:" + std::to_string(i) + " count"), std::to_string(2 * i));
  }
  EXPECT_EQ(Do("FIELD wall:69999 count"), "140000");
}

TEST_F(EntityLifeTest, ATurnThatRaisesChangesNothing) {
  Event("a", "add 1;note one");
  Event("a", "add 100;note " + std::string(50, 'x') + ";maybe 3;pane 1 1;emit lost;raise boom");
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
  EXPECT_EQ(Do("FIELD wall:a note"), "one");
  EXPECT_EQ(Do("FIELD wall:a maybe"), "");
  EXPECT_EQ(Do("FIELD wall:a panes"), "[0,0,0]");
  EXPECT_EQ(shard_.shard().stats().turns_failed, 1u);
  EXPECT_EQ(shard_.shard().stats().dead_letters, 1u);
  EXPECT_THAT(shard_.TakeOutputs(),
              ElementsAre(R"(bettong:dead-letters {"stream":"events","class":"Wall","key":"a",)"
                          R"("handler":"on_event",)"
                          R"("event":{"key":"a","script":"add 100;note )" +
                          std::string(50, 'x') +
                          R"(;maybe 3;pane 1 1;emit lost;raise boom","ts":null},)"
                          R"("state":{"count":1,"note":"one","maybe":null,"panes":[0,0,0]},)"
                          R"("error":"boom","traceback":"boom"})"));
}

TEST_F(EntityLifeTest, AFailingTurnDoesNotRefreshTheTtl) {
  Event("a", "add 1");
  std::string deadline = Do("DEADLINE wall:a");
  EXPECT_EQ(deadline, std::to_string(shard_.now_ms + kScriptedTtlMs));
  shard_.AdvanceTo(shard_.now_ms + 500);
  Event("a", "touch;ttl 99999;raise boom");
  EXPECT_EQ(Do("DEADLINE wall:a"), deadline);
  Event("a", "add 1");
  EXPECT_EQ(Do("DEADLINE wall:a"), std::to_string(shard_.now_ms + kScriptedTtlMs));
}

TEST_F(EntityLifeTest, AFailingFirstTurnCreatesNothing) {
  host_.on_create = "emit created";
  Event("a", "raise boom");
  EXPECT_EQ(Do("TYPE wall:a"), "none");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(outputs[0], HasSubstr(R"("state":null,"error":"boom")"));
  EXPECT_EQ((shard_.shard().value_bytes() - empty_bytes_) % 65536, 0u) << "the phantom is gone";
  Event("a", "add 1");
  EXPECT_THAT(host_.log, ElementsAre("create a", "event a", "create a", "event a"));
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
}

TEST_F(EntityLifeTest, AFailingOnCreateFailsTheWholeTurn) {
  host_.on_create = "add 5;raise not today";
  Event("a", "add 1");
  EXPECT_EQ(Do("TYPE wall:a"), "none");
  EXPECT_THAT(host_.log, ElementsAre("create a"));
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(outputs[0], HasSubstr(R"("handler":"on_event")"));
  EXPECT_THAT(outputs[0], HasSubstr(R"("error":"not today")"));
}

TEST_F(EntityLifeTest, TheNextTurnOfABatchSeesTheStateBeforeAFailedOne) {
  shard_.Events({{kWall, "a", "add 1;emit one"},
                 {kWall, "a", "add 10;emit two;raise boom"},
                 {kWall, "a", "add 100;emit three;count"},
                 {kWall, "a", "raise boom"},
                 {kWall, "a", "count"}});
  EXPECT_EQ(Do("FIELD wall:a count"), "101");
  std::vector<std::string> outputs = shard_.TakeOutputs();
  std::erase_if(outputs, [](const std::string& output) { return !output.starts_with("out "); });
  EXPECT_THAT(outputs, ElementsAre("out \"one\"", "out \"three\"", "out 101", "out 101"));
}

TEST_F(EntityLifeTest, ABatchThatOnlyFailsLeavesNothing) {
  shard_.Events({{kWall, "a", "raise 1"}, {kWall, "a", "raise 2"}, {kWall, "b", "raise 3"}});
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_EQ(shard_.shard().stats().dead_letters, 3u);
  EXPECT_EQ(shard_.shard().stats().loans_outstanding, 0u);
}

TEST_F(EntityLifeTest, AFailedFirstTurnLeavesCreationToTheSecond) {
  shard_.Events({{kWall, "a", "add 1;raise boom"}, {kWall, "a", "add 2"}});
  EXPECT_EQ(Do("FIELD wall:a count"), "2");
  EXPECT_THAT(host_.log, ElementsAre("create a", "event a", "create a", "event a"));
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
}

TEST_F(EntityLifeTest, EventsOfAKeyAreHandledInOrder) {
  std::vector<grid::TestEvent> events;
  std::string expected[3];
  for (int i = 0; i < 300; ++i) {
    std::string key(1, static_cast<char>('a' + i % 3));
    events.push_back(
        {kPlain, key, "note x" + std::to_string(i) + ";emit " + key + std::to_string(i)});
    expected[i % 3] = "x" + std::to_string(i);
  }
  shard_.Events(events);
  EXPECT_EQ(Do("FIELD plain:a note"), expected[0]);
  EXPECT_EQ(Do("FIELD plain:b note"), expected[1]);
  EXPECT_EQ(Do("FIELD plain:c note"), expected[2]);
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 300u);
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(outputs[static_cast<size_t>(i)],
              "out \"" + std::string(1, static_cast<char>('a' + i % 3)) + std::to_string(i) + "\"");
  }
}

TEST_F(EntityLifeTest, DelRemovesWithoutOnExpire) {
  host_.on_expire = "emit expired";
  Event("a", "add 1");
  EXPECT_EQ(Do("DEL wall:a"), "1");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  shard_.AdvanceTo(shard_.now_ms + 10'000);
  EXPECT_THAT(host_.TakeLog(), ElementsAre("create a", "event a"));
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
}

TEST_F(EntityLifeTest, ATurnMayDeleteItsEntity) {
  host_.on_expire = "emit expired";
  Event("a", "add 1");
  shard_.TakeNotifications();
  Event("a", "add 1;emit bye;delete");
  EXPECT_EQ(Do("TYPE wall:a"), "none");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"bye\""));
  EXPECT_THAT(shard_.TakeNotifications(),
              ElementsAre("__keyspace@0__:wall:a del", "__keyevent@0__:del wall:a"));
  shard_.AdvanceTo(shard_.now_ms + 10'000);
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
  host_.TakeLog();
  Event("a", "add 7");
  EXPECT_THAT(host_.log, ElementsAre("create a", "event a"));
  EXPECT_EQ(Do("FIELD wall:a count"), "7");
}

TEST_F(EntityLifeTest, DeletionAndRebirthWithinABatch) {
  shard_.Events({{kWall, "a", "add 1;ttl 5"},
                 {kWall, "a", "delete"},
                 {kWall, "a", "add 2"},
                 {kWall, "a", "add 3;delete"},
                 {kWall, "b", "delete"},
                 {kWall, "a", "add 4"}});
  EXPECT_EQ(Do("FIELD wall:a count"), "4");
  EXPECT_EQ(Do("DEADLINE wall:a"), std::to_string(shard_.now_ms + kScriptedTtlMs))
      << "the own TTL died with it";
  EXPECT_EQ(Do("TYPE wall:b"), "none");
  EXPECT_EQ(Do("DBSIZE"), "1/1/1");
}

TEST_F(EntityLifeTest, ADeletionThatRaisesDoesNotDelete) {
  Event("a", "add 1");
  Event("a", "delete;raise boom");
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
}

TEST_F(EntityLifeTest, CallOnAMissingKeyIsAnErrorUnlessItCreates) {
  EXPECT_EQ(Do("CALL wall:a run add 1"),
            "-ERR no such entity: 'wall:a' (Wall.run does not create one)");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_THAT(host_.log, IsEmpty());
  EXPECT_EQ(Do("CALL wall:a make add 1;reply done"), "done");
  EXPECT_THAT(host_.TakeLog(), ElementsAre("create a", "call a"));
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
  EXPECT_EQ(Do("CALL wall:a run add 1"), "1");  // the count before
  EXPECT_EQ(Do("FIELD wall:a count"), "2");
}

TEST_F(EntityLifeTest, ACallThatRaisesAnswersTheErrorAndChangesNothing) {
  Event("a", "add 1");
  EXPECT_EQ(Do("CALL wall:a run add 5;emit lost;reply partial;raise boom"), "-ERR boom");
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
  EXPECT_EQ(Do("CALL wall:b make add 5;raise boom"), "-ERR boom");
  EXPECT_EQ(Do("TYPE wall:b"), "none");
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty()) << "the caller has the error; it is no dead letter";
  EXPECT_EQ(shard_.shard().stats().turns_failed, 2u);
}

// FCALL names the class and the key.
TEST_F(EntityLifeTest, ACallOfOneClassOnAKeyOfAnotherIsRefused) {
  Event("a", "add 1", kPlain);
  Do("SET k v");
  auto call = [&](std::string_view key) {
    grid::TestCommandLine line("CALL wall:a make add 1", *host_.catalog(), shard_.slot_map());
    line.message.key = shard_.slot_map().Key(key);
    line.message.ticket = {ConnectionId(1), ++sequence_};
    shard_.Send({&line.message, 1});
    return shard_.Reply(sequence_).value_or("(none)");
  };
  std::string wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value: ";
  EXPECT_EQ(call("plain:a"), wrong_type + "the key 'plain:a' belongs to class Plain");
  EXPECT_EQ(call("plain:missing"), wrong_type + "the key 'plain:missing' belongs to class Plain");
  EXPECT_EQ(call("k"), wrong_type + "the key 'k' belongs to no class");
  EXPECT_EQ(call(""), wrong_type + "the key '' belongs to no class");
  Do("XADD wall:taken 1 1 p");
  EXPECT_EQ(call("wall:taken"), wrong_type + "the key holds a value that is not an entity");
  EXPECT_EQ(Do("FIELD plain:a count"), "1");
}

TEST_F(EntityLifeTest, AnEventForAKeyWithAnotherValueIsADeadLetter) {
  Do("XADD wall:a 1 1 p");
  Event("a", "add 1");
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(outputs[0], HasSubstr(R"("error":"the key holds a value that is not an entity")"));
  EXPECT_EQ(shard_.batches_out, 0u);
  EXPECT_EQ(shard_.shard().stats().turns_failed, 1u);
}

TEST_F(EntityLifeTest, AValueThatHasExpiredIsNotInTheWayOfAnEvent) {
  Do("XADD wall:a 1 1 p");
  Do("XADD wall:b 1 1 p");
  Do("EXPIREAT wall:a " + std::to_string(shard_.now_ms + 10));
  Do("EXPIREAT wall:b " + std::to_string(shard_.now_ms + 10));
  shard_.now_ms += 10;
  Event("a", "add 1");
  EXPECT_EQ(Do("FIELD wall:a count"), "1");
  EXPECT_EQ(Do("CALL wall:b make add 1"), "0");
  EXPECT_THAT(shard_.TakeOutputs(), IsEmpty());
}

// "plain" and "plain:in" may meet in one Redis key: it is the longer prefix's.
TEST_F(EntityLifeTest, AKeyThatBelongsToAnotherClassIsADeadLetter) {
  Event("in:x", "add 1", kPlain);
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(outputs[0], HasSubstr(R"("stream":"events","class":"Plain","key":"in:x",)"
                                    R"("handler":"on_event")"));
  EXPECT_THAT(outputs[0], HasSubstr(R"("error":"the key 'plain:in:x' belongs to class Nested")"));
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  Event("x", "add 2", kNested);
  Event("in:x", "add 1", kPlain);
  Event("in", "add 3", kPlain);
  EXPECT_EQ(Do("FIELD plain:in:x count"), "2");
  EXPECT_EQ(Do("FIELD plain:in count"), "3");
  EXPECT_EQ(shard_.batches_out, 0u);
}

TEST_F(EntityLifeTest, AClientMayWriteAFieldThatTheNextTurnSees) {
  Event("a", "add 1");
  EXPECT_EQ(Do("FSET wall:a count 41"), "OK");
  EXPECT_EQ(Do("FSET wall:a note a-text-that-is-longer-than-inline"), "OK");
  EXPECT_EQ(Do("FSET wall:a count x"), "value is not an integer or out of range");
  Event("a", "add 1;count");
  EXPECT_EQ(Do("FIELD wall:a count"), "42");
  EXPECT_EQ(Do("FIELD wall:a note"), "a-text-that-is-longer-than-inline");
}

TEST_F(EntityLifeTest, KeyFunctionsNameTheKeysToRouteTo) {
  shard_.Events({{.entity_class = kPlain, .script = "keys x y z", .kind = TurnKind::kKeys},
                 {.entity_class = kPlain, .script = "keys", .kind = TurnKind::kKeys},
                 {.entity_class = kPlain, .script = "raise no keys", .kind = TurnKind::kKeys},
                 {.entity_class = kPlain, .script = "keys w", .kind = TurnKind::kKeys}});
  EXPECT_THAT(shard_.keyed, ElementsAre("plain:x keys x y z", "plain:y keys x y z",
                                        "plain:z keys x y z", "plain:w keys w"));
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_THAT(outputs[0],
              HasSubstr(R"("stream":"events","class":"Plain","key":null,"handler":"on_event")"));
  EXPECT_THAT(outputs[0], HasSubstr(R"("error":"no keys")"));
  EXPECT_EQ(shard_.batches_out, 0u);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

// (partition, sequence) is an output's id, so a shard numbers only the partitions it owns.
TEST(EntityOutputs, OutputsAreNumberedWithoutGapsInOwnPartitions) {
  ScriptedHost host;
  for (uint16_t id : {uint16_t{0}, uint16_t{1}}) {
    TestShard shard(host.catalog(), host.get(), {.shards = 2, .id = id});
    int keys = 0;
    for (int i = 0; keys < 100; ++i) {
      std::string key = "k" + std::to_string(i);
      if (shard.slot_map().ShardOf(SlotOfKey("plain:" + key)) != ShardId(id)) continue;
      ++keys;
      shard.Event({kPlain, key, "emit a;emit b"});
    }
    shard.Event({.entity_class = kPlain, .script = "raise no keys", .kind = TurnKind::kKeys});
    std::map<uint16_t, uint64_t> last;
    for (const grid::Output& output : shard.output_heads) {
      EXPECT_EQ(shard.slot_map().ShardOf(output.partition), ShardId(id));
      EXPECT_EQ(output.sequence, ++last[output.partition.value()]);
    }
    EXPECT_EQ(shard.output_heads.size(), 201u);
  }
}

TEST_F(EntityLifeTest, EveryAdmittedItemGivesItsCreditBackOnce) {
  shard_.Events(
      {{.entity_class = kWall, .key = "a", .script = "add 1", .source = 1},
       {.entity_class = kWall, .key = "a", .script = "raise x", .source = 2},
       {.entity_class = kWall, .key = "b", .script = "delete", .source = 1},
       {.entity_class = kPlain, .script = "keys a b c", .kind = TurnKind::kKeys, .source = 3},
       {.entity_class = kPlain, .script = "raise x", .kind = TurnKind::kKeys, .source = 3}});
  Do("XADD plain:s 1 1 p");
  shard_.Event({.entity_class = kPlain, .key = "s", .script = "add 1", .source = 2});
  EXPECT_EQ(shard_.credits, (std::map<std::pair<uint16_t, uint32_t>, int64_t>{
                                {{0, 1}, -2}, {{0, 2}, -2}, {{0, 3}, -2}}));
  EXPECT_EQ(shard_.batches_out, 0u);
}

TEST_F(EntityLifeTest, OutputsCarryTheSourceOfTheirEvent) {
  shard_.Event({.entity_class = kPlain, .key = "a", .script = "emit x", .source = 9});
  Do("CALL plain:a run emit y");
  ASSERT_EQ(shard_.output_heads.size(), 2u);
  EXPECT_EQ(shard_.output_heads[0].origin, (grid::SourceRef{ShardId(0), SourceId(9)}));
  EXPECT_EQ(shard_.output_heads[1].origin, (grid::SourceRef{ShardId(0), SourceId(0)}));
}

TEST_F(EntityLifeTest, UsedMemoryOfEntitiesReturns) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 500; ++i) {
      std::string key = "k" + std::to_string(i);
      Event(key, "note " + std::string(static_cast<size_t>(i % 200), 'n'),
            round % 2 == 0 ? kPlain : kLarge);
      Event(key, "note " + std::string(200, 'n') + ";ttl 5000", round % 2 == 0 ? kPlain : kLarge);
    }
    for (int i = 0; i < 250; ++i) {
      std::string key = "k" + std::to_string(i);
      Event(key, "delete", round % 2 == 0 ? kPlain : kLarge);
    }
    Do("FLUSHALL");
    EXPECT_EQ((shard_.shard().value_bytes() - empty_bytes_) % 65536, 0u);
  }
}

}  // namespace
}  // namespace bettong::compute
