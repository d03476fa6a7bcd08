// Functions on streams: turns without an entity.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "compute/loan_groups.h"
#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {
namespace {

using grid::FailurePolicy;
using grid::TestEvent;
using grid::TestShard;
using grid::TurnKind;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint16_t kSingle = 0, kSkips = 1;

// "single" and "skips" take the stream "events", one at a time; or so many.
class TurnFunctionsTest : public ::testing::Test {
 protected:
  explicit TurnFunctionsTest(uint32_t batch_max = 0)
      : host_([batch_max](grid::Catalog& catalog) {
          catalog.functions = {{.name = "single", .stream = StreamId(0), .batch_max = batch_max},
                               {.name = "skips",
                                .stream = StreamId(0),
                                .batch_max = batch_max,
                                .on_error = {.kind = FailurePolicy::Kind::kSkip}}};
        }) {}

  // Of class kEvent, whose handlers have the numbers of the functions, so that the event is of a
  // stream.
  static TestEvent For(uint16_t function, std::string script, uint32_t source = 1) {
    return {.entity_class = kEvent,
            .script = std::move(script),
            .handler = function,
            .kind = TurnKind::kFunction,
            .source = source};
  }

  ScriptedHost host_;
  TestShard shard_{host_.catalog(), host_.get(), {.record_changes = true}};
};

TEST_F(TurnFunctionsTest, WhatItEmitsCounts) {
  shard_.Events({For(kSingle, "emit a;again b", 7), For(kSingle, "emit c", 8)});
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"a\"", "events \"b\"", "out \"c\""));
  EXPECT_EQ(shard_.output_heads[0].origin.source, SourceId(7));
  EXPECT_EQ(shard_.output_heads[2].origin.source, SourceId(8));
  EXPECT_EQ(shard_.batches_out, 0u);
  EXPECT_EQ(shard_.shard().stats().events, 2u);
  EXPECT_EQ(shard_.shard().stats().loans_outstanding, 0u);
  EXPECT_EQ(shard_.Do("DBSIZE"), "0/0/0");
}

TEST_F(TurnFunctionsTest, OneThatRaisesEmitsNothingAndLeavesALetter) {
  shard_.Events({For(kSingle, "emit a;raise no"), For(kSingle, "emit b")});
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_THAT(outputs[0], AllOf(HasSubstr("bettong:dead-letters {"),
                                HasSubstr(R"("stream":"events","class":null,"key":null,)"),
                                HasSubstr(R"("handler":"single")"), HasSubstr(R"("error":"no")")));
  EXPECT_EQ(outputs[1], "out \"b\"");
  EXPECT_EQ(shard_.shard().stats().turns_failed, 1u);
}

TEST_F(TurnFunctionsTest, OneThatSkipsLeavesNothing) {
  shard_.Events({For(kSkips, "emit a;raise no"), For(kSkips, "emit b")});
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"b\""));
  EXPECT_EQ(shard_.shard().stats().turns_failed, 1u);
  EXPECT_EQ(shard_.batches_out, 0u);
}

TEST_F(TurnFunctionsTest, ItWaitsForNoEntity) {
  shard_.hold = true;
  shard_.Event({kPlain, "a", "emit entity"});
  shard_.Event(For(kSingle, "emit function"));
  shard_.Drain();
  EXPECT_THAT(shard_.TakeOutputs(), ElementsAre("out \"entity\"", "out \"function\""));
}

class BatchFunctionsTest : public TurnFunctionsTest {
 protected:
  BatchFunctionsTest() : TurnFunctionsTest(3) {}
};

TEST_F(BatchFunctionsTest, EventsShareATurnInOrderUpToTheLimit) {
  std::vector<TestEvent> events;
  for (int i = 0; i < 7; ++i) events.push_back(For(kSingle, "emit " + std::to_string(i)));
  // What is for others does not part them.
  events.insert(events.begin() + 2, {kPlain, "a", "emit x"});
  events.insert(events.begin() + 3, For(kSkips, "emit y"));
  shard_.Events(events);
  EXPECT_THAT(host_.log, ElementsAre("single 3", "event a", "skips 1", "single 3", "single 1"));
  EXPECT_THAT(shard_.TakeOutputs(),
              ElementsAre("out \"0\"", "out \"1\"", "out \"2\"", "out \"x\"", "out \"y\"",
                          "out \"3\"", "out \"4\"", "out \"5\"", "out \"6\""));
  EXPECT_EQ(shard_.batches_out, 0u);
  EXPECT_EQ(shard_.shard().stats().events, 9u);
}

TEST_F(BatchFunctionsTest, OfThoseThatRaiseEachHasATurnOfItsOwn) {
  shard_.Events({For(kSingle, "emit a"), For(kSingle, "emit b;raise no"), For(kSingle, "emit c"),
                 For(kSingle, "emit d")});
  EXPECT_THAT(host_.log, ElementsAre("single 3", "single 1", "single 1", "single 1", "single 1"));
  std::vector<std::string> outputs = shard_.TakeOutputs();
  ASSERT_EQ(outputs.size(), 4u);
  EXPECT_EQ(outputs[0], "out \"a\"");
  EXPECT_THAT(outputs[1], HasSubstr(R"("handler":"single")"));
  EXPECT_EQ(outputs[2], "out \"c\"");
  EXPECT_EQ(outputs[3], "out \"d\"");
  EXPECT_EQ(shard_.shard().stats().turns_failed, 1u);
}

// The marks of a turn's events stand in one section of the log.
TEST(LoanGroups, EventsOfAFunctionAreLinkedByPartition) {
  grid::Catalog catalog;
  catalog.streams.push_back({.name = "s"});
  catalog.functions = {{.name = "f", .stream = StreamId(0), .batch_max = 9},
                       {.name = "g", .stream = StreamId(0), .batch_max = 9},
                       {.name = "single", .stream = StreamId(0)}};
  ASSERT_EQ(catalog.Finish(), "");
  const auto loan = [](uint16_t function, uint16_t partition) {
    return grid::Loan{
        .kind = TurnKind::kFunction, .index = function, .partition = PartitionId(partition)};
  };
  const std::vector<grid::Loan> loans = {loan(0, 5), loan(0, 6), loan(1, 5), loan(0, 5),
                                         loan(2, 5), loan(2, 5), loan(0, 6), loan(0, 5)};
  LoanGroups groups(catalog);
  ASSERT_TRUE(groups.any());
  for (int looks = 0; looks < 2; ++looks) {
    groups.Look(loans);
    std::vector<size_t> next;
    for (size_t i = 0; i < loans.size(); ++i) next.push_back(groups.Next(i));
    EXPECT_THAT(next, ElementsAre(3, 6, 0, 7, 0, 0, 0, 0));
  }
  groups.NoteAlone(3);
  groups.NoteRun(6);
  EXPECT_EQ(groups.Next(0), 0u);
  EXPECT_EQ(groups.Next(1), 0u);
}

}  // namespace
}  // namespace bettong::compute
