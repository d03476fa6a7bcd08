#include "ingest/gate.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/bytes.h"
#include "grid/entity_message.h"
#include "ingest/ingest_testing.h"
#include "ingest/record_fields.h"

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Sample(const std::string& host, TimeMs ts, double value = 1.5) {
  return absl::StrCat("{\"host\":\"", host, "\",\"value\":", value, ",\"ts\":", ts, "}");
}

std::vector<std::string> Keys(const TestNode& node, grid::TurnKind kind = grid::TurnKind::kEvent) {
  std::vector<std::string> keys;
  for (const SeenTurn& turn : node.turns) {
    if (turn.kind == kind) keys.push_back(turn.redis_key);
  }
  return keys;
}

std::string FieldsPayload(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string payload;
  ByteWriter writer(payload);
  writer.Varint(fields.size());
  for (const auto& [name, value] : fields) writer.Bytes(name), writer.Bytes(value);
  return payload;
}

TEST(Gate, EventsGoToTheShardsOfTheirKeysInOrder) {
  TestNode node(SampleCatalog(), 4);
  TestSource source(node, 1, node.stream("samples"));
  std::vector<std::string> lines;
  for (int i = 0; i < 300; ++i) lines.push_back(Sample(absl::StrCat("h", i % 30), 1000 + i));
  source.Read(lines);
  node.Run();
  ASSERT_THAT(node.turns, SizeIs(300));
  std::set<size_t> shards;
  std::map<std::string, TimeMs> last;
  for (const SeenTurn& turn : node.turns) {
    const KeyRef key = node.shard(0).slot_map().Key(turn.redis_key);
    EXPECT_EQ(turn.shard, node.shard(0).slot_map().ShardOf(key.slot).value());
    shards.insert(turn.shard);
    const TimeMs ts = std::stoll(turn.event.substr(turn.event.find("\"ts\":") + 5));
    EXPECT_GT(ts, last[turn.redis_key]);
    last[turn.redis_key] = ts;
  }
  EXPECT_THAT(shards, SizeIs(4));
  EXPECT_THAT(last, SizeIs(30));
}

TEST(Gate, SourceHearsWhenEverythingIsDone) {
  TestNode node(SampleCatalog(), 2);
  node.emit = [&](const SeenTurn&) {
    return std::vector<std::pair<StreamId, std::string>>{
        {node.catalog().dead_letters, "{\"x\":1}"}};
  };
  node.sinks().Hold();
  TestSource source(node, 0, node.stream("samples"));
  source.Read({Sample("a", 1), Sample("b", 2), Sample("c", 3)});
  node.Run();
  EXPECT_THAT(node.turns, SizeIs(3));
  EXPECT_EQ(source.outstanding(), 3);  // three outputs are not written yet
  node.sinks().Release();
  node.Run();
  EXPECT_EQ(source.outstanding(), 0);
  EXPECT_EQ(source.credits.back(), 0);
}

TEST(Gate, UndecodableEventsBecomeDeadLettersAndTheRestGoesOn) {
  TestNode node(SampleCatalog(), 2);
  TestSource source(node, 0, node.stream("samples"));
  source.Read({"nonsense", Sample("a", 1), R"({"host":"b","value":"abc","ts":2})",
               R"({"host":"","value":1,"ts":2})", Sample("c", 3)});
  node.Run();
  EXPECT_THAT(Keys(node), ::testing::UnorderedElementsAre("host:a", "host:c"));
  const auto letter = [](const char* handler, const char* event, const char* error) {
    return absl::StrCat(R"({"stream":"samples",)", handler, R"(,"event":)", event,
                        R"(,"state":null,"error":)", error, R"(,"traceback":)", error, "}");
  };
  const char* unknown = R"("class":null,"key":null,"handler":null)";
  EXPECT_THAT(
      node.sinks().TakeJson(node.catalog().dead_letters),
      ElementsAre(
          letter(unknown, R"("nonsense")",
                 R"("not valid JSON: Problem while parsing an atom starting with the letter 'n'")"),
          letter(unknown, R"("{\"host\":\"b\",\"value\":\"abc\",\"ts\":2}")",
                 R"("field 'value' of Sample: expected a float, got \"abc\"")"),
          letter(R"("class":"Host","key":null,"handler":"sample")",
                 R"("{\"host\":\"\",\"value\":1,\"ts\":2}")",
                 R"("field 'host' is the key and is empty")")));
  EXPECT_EQ(source.outstanding(), 0);
  EXPECT_EQ(source.channel.dead_letters_total, 3u);
  EXPECT_EQ(source.counters.frames.load(), 5u);
  EXPECT_EQ(source.counters.events.load(), 3u);
  EXPECT_EQ(source.counters.dead_letters.load(), 3u);
  EXPECT_EQ(node.gate(0).events(), 3u);
  EXPECT_EQ(node.gate(0).dead_letters(), 3u);
  EXPECT_EQ(node.gate(0).admitted(), 5u);
}

TEST(Gate, DeadLettersStandInTheView) {
  TestNode node(SampleCatalog(), 3);
  TestSource source(node, 0, node.stream("samples"));
  source.Read({"nonsense"});
  node.Run();
  size_t keys = 0;
  for (size_t i = 0; i < 3; ++i) keys += node.shard(i).shard().key_count();
  EXPECT_EQ(keys, 1u);
}

TEST(Gate, RefusedFramesKeepTheirHeadAndSize) {
  TestNode node(SampleCatalog(), 1);
  TestSource source(node, 0, node.stream("samples"));
  node.gate(0).RouteFrame(source.channel, {Frame::Kind::kTooLong, "{\"host\":\"aaa", 5'000'000});
  node.gate(0).RouteFrame(source.channel, {Frame::Kind::kBadLength, {}, 4'000'000'000});
  node.gate(0).EndRead(source.channel);
  node.Run();
  std::vector<std::string> letters = node.sinks().TakeJson(node.catalog().dead_letters);
  ASSERT_THAT(letters, SizeIs(2));
  EXPECT_THAT(letters[0],
              HasSubstr(R"x("event":"{\"host\":\"aaa ... (cut: 5000000 bytes in all)")x"));
  EXPECT_THAT(letters[0], HasSubstr(R"("error":"line of 5000000 bytes is over the limit")"));
  EXPECT_THAT(letters[1], HasSubstr("frame length 4000000000 is over the limit"));
}

TEST(Gate, EventsWithoutAClassAreRoutedByTheirKeyField) {
  TestNode node(SampleCatalog(), 2);
  TestSource source(node, 0, node.stream("raw"));
  source.Read({R"({"name":"x","deep":{"name":"y"}})", R"({"deep":[1],"name":7})", R"({"name":1.5})",
               R"({"other":1})", R"({"name":null})", R"([1])"});
  node.Run();
  EXPECT_THAT(Keys(node), ::testing::UnorderedElementsAre("raw:x", "raw:7"));
  EXPECT_THAT(
      node.sinks().TakeJson(node.catalog().dead_letters),
      ElementsAre(HasSubstr("field 'name' is the key and is neither text, bytes nor an int"),
                  HasSubstr("field 'name' is the key and is missing"),
                  HasSubstr("field 'name' is the key and is null"),
                  HasSubstr("expected a JSON object, got a list")));
}

TEST(Gate, KeysAreNoLongerThanTheLimit) {
  TestNode node(SampleCatalog(), 1);
  TestSource source(node, 0, node.stream("samples"));
  source.Read({Sample(std::string(grid::kEventKeyBytesMax, 'k'), 1),
               Sample(std::string(grid::kEventKeyBytesMax + 1, 'k'), 1)});
  node.Run();
  EXPECT_THAT(node.turns, SizeIs(1));
  EXPECT_THAT(node.sinks().TakeJson(node.catalog().dead_letters),
              ElementsAre(HasSubstr("is longer than 65536 bytes")));
}

TEST(Gate, EmittedEventsTravelOnWithTheirOrigin) {
  TestNode node(SampleCatalog(), 2);
  node.emit = [&](const SeenTurn& turn) {
    std::vector<std::pair<StreamId, std::string>> emitted;
    if (turn.redis_key.starts_with("raw:")) {
      emitted.emplace_back(node.stream("samples"), Sample(turn.redis_key, 5));
    }
    return emitted;
  };
  TestSource source(node, 0, node.stream("raw"));
  source.Read({R"({"name":"x"})", R"({"name":"y"})", R"({"name":"z"})"});
  node.Run();
  EXPECT_THAT(Keys(node), SizeIs(6));
  EXPECT_THAT(Keys(node), ::testing::IsSupersetOf({"host:raw:x", "host:raw:y", "host:raw:z"}));
  EXPECT_EQ(source.outstanding(), 0);
  EXPECT_EQ(source.credits.back(), 0);
}

TEST(Gate, ClientsFieldsAreConvertedByType) {
  TestNode node(SampleCatalog(), 1);
  const grid::Origin self{.source = {ShardId(0), SourceId(0)}};
  node.gate(0).RouteFields(node.stream("samples"),
                           FieldsPayload({{"host", "a"}, {"ts", "5"}, {"value", "2.5"}}), {}, self);
  node.gate(0).RouteFields(node.stream("samples"),
                           FieldsPayload({{"host", "a"}, {"ts", "x"}, {"value", "2.5"}}), {}, self);
  node.gate(0).RouteFields(node.stream("raw"), FieldsPayload({{"name", "n"}, {"q", "\"1\""}}), {},
                           self);
  node.gate(0).Flush();
  node.Run();
  ASSERT_THAT(Keys(node), ElementsAre("host:a", "raw:n"));
  EXPECT_EQ(node.turns[0].event, R"({"host":"a","value":2.5,"ts":5,"count":1})");
  EXPECT_EQ(node.turns[1].event, R"({"name":"n","q":"\"1\""})");
  EXPECT_THAT(node.sinks().TakeJson(node.catalog().dead_letters),
              ElementsAre(::testing::AllOf(
                  HasSubstr("field 'ts' of Sample: expected an int, got x"),
                  HasSubstr(R"("event":"{\"host\":\"a\",\"ts\":\"x\",\"value\":\"2.5\"}")"))));
}

TEST(Gate, KeyFunctionsRunHereAndTheirKeysAreRouted) {
  grid::Catalog catalog;
  catalog.streams.push_back({.name = "lines"});
  grid::ClassSchema word{.name = "Word", .prefix = "word"};
  word.handlers.push_back({StreamId(0), "line", {.kind = grid::KeySpec::Kind::kFunction}});
  catalog.classes.push_back(std::move(word));
  ASSERT_EQ(catalog.Finish(), "");
  TestNode node(std::move(catalog), 4);
  node.find_keys = [](const grid::EventRecord&) {
    return std::vector<std::string>{"to", "be", "or", "not"};
  };
  TestSource source(node, 2, node.stream("lines"));
  source.Read({R"({"text":"to be or not"})"});
  node.Run();
  ASSERT_THAT(node.turns, SizeIs(5));
  EXPECT_EQ(node.turns[0].kind, grid::TurnKind::kKeys);
  EXPECT_EQ(node.turns[0].shard, 2u);
  EXPECT_THAT(Keys(node),
              ::testing::UnorderedElementsAre("word:to", "word:be", "word:or", "word:not"));
  EXPECT_EQ(source.outstanding(), 0);
}

// A stream "lines" that two functions take, one of them the late events.
grid::Catalog FunctionCatalog() {
  grid::Catalog catalog;
  catalog.streams.push_back({.name = "lines"});
  catalog.streams[0].event = {.name = "Line",
                              .fields = {Field("n", grid::EventFieldType::kInt),
                                         Field("ts", grid::EventFieldType::kInt, "0")},
                              .time_field = 1};
  catalog.functions = {{.name = "usual", .stream = StreamId(0)},
                       {.name = "late", .stream = StreamId(0), .late = true}};
  EXPECT_EQ(catalog.Finish(), "");
  return catalog;
}

TEST(Gate, EventsForFunctionsStayOnTheirShard) {
  TestNode node(FunctionCatalog(), 4);
  TestSource source(node, 2, node.stream("lines"));
  source.Read({R"({"n":1,"ts":5})", R"({"n":2,"ts":6})"});
  node.Run();
  source.Read({R"({"n":3,"ts":4})"});
  node.Run();
  ASSERT_THAT(node.turns, SizeIs(3));
  for (const SeenTurn& turn : node.turns) {
    EXPECT_EQ(turn.kind, grid::TurnKind::kFunction);
    EXPECT_EQ(turn.shard, 2u);
  }
  EXPECT_EQ(node.turns[0].event, R"({"n":1,"ts":5})");
  EXPECT_EQ(node.turns[1].event, R"({"n":2,"ts":6})");
  EXPECT_EQ(node.gate(2).late(StreamId(0)), 1u);
  EXPECT_EQ(source.outstanding(), 0);
}

TEST(Gate, ALetterOfAFunctionIsRetriedByTheOneOfItsName) {
  grid::Catalog catalog = FunctionCatalog();
  catalog.functions.push_back({.name = "other", .stream = StreamId(0)});
  ASSERT_EQ(catalog.Finish(), "");
  TestNode node(std::move(catalog), 2);
  for (const char* name : {"other", "gone"}) {
    std::string json;
    grid::AppendMessageJson(
        grid::EventAgain{.stream = "lines", .event = R"({"n":7})", .handler = name}, json);
    node.gate(1).RouteJson(node.catalog().messages, json, {});
    node.gate(1).Flush();
    node.Run();
  }
  ASSERT_THAT(node.turns, SizeIs(1));
  EXPECT_EQ(node.turns[0].kind, grid::TurnKind::kFunction);
  EXPECT_EQ(node.turns[0].event, R"({"n":7,"ts":0})");
  EXPECT_THAT(node.sinks().TakeJson(node.catalog().dead_letters),
              ElementsAre(HasSubstr("no function 'gone' takes events of the stream (any more)")));
}

TEST(Gate, EventTimeExpiresEntitiesOnEveryShard) {
  TestNode node(SampleCatalog(), 4);
  TestSource source(node, 0, node.stream("samples"));
  std::vector<std::string> lines;
  for (int i = 0; i < 40; ++i) lines.push_back(Sample(absl::StrCat("h", i), 1000));
  source.Read(lines);
  node.Run();
  source.Read({Sample("other", 2000)});  // alive at exactly the TTL
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), IsEmpty());
  source.Read({Sample("other", 2001)});
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), SizeIs(40));
}

TEST(Gate, WatermarkDoesNotOvertakeEventsThatWaitForTheirKeys) {
  grid::Catalog catalog = SampleCatalog();
  catalog.classes[0].handlers[0].key = {.kind = grid::KeySpec::Kind::kFunction};
  ASSERT_EQ(catalog.Finish(), "");
  // The host answers keys inline, so events for other shards are in the mail when it has.
  TestNode node(std::move(catalog), 4);
  TestSource source(node, 0, node.stream("samples"));
  for (TimeMs second = 1; second < 10; second += 3) {
    std::vector<std::string> lines;
    for (TimeMs ts = 1000 * second; ts < 1000 * (second + 3); ts += 1000) {
      for (int i = 0; i < 20; ++i) lines.push_back(Sample(absl::StrCat("h", i), ts));
    }
    source.Read(lines);
  }
  node.Run();
  // Every entity heard from every second: with a TTL of one second none may have expired.
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), IsEmpty());
  EXPECT_THAT(Keys(node), SizeIs(9 * 20));
  source.Read({Sample("last", 20000)});
  source.Leave();
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), SizeIs(20));
}

TEST(Gate, SlowestInputHoldsTheWatermarkUntilItLeaves) {
  TestNode node(SampleCatalog(), 2);
  TestSource fast(node, 0, node.stream("samples"));
  TestSource slow(node, 1, node.stream("samples"));
  fast.Read({Sample("a", 1000)});
  slow.Read({Sample("b", 1000)});
  node.Run();
  fast.Read({Sample("c", 9000)});
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), IsEmpty());
  slow.Leave();
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire),
              ::testing::UnorderedElementsAre("host:a", "host:b"));
  // A refused line does not make it join again, an event does.
  slow.Read({"nonsense"});
  fast.Read({Sample("d", 20000)});
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), SizeIs(3));
  slow.Read({Sample("b", 20000)});
  node.Run();
  fast.Read({Sample("e", 90000)});
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), SizeIs(3));
}

TEST(Gate, WhatClientsAddLeavesWhenTheInputEnds) {
  TestNode node(SampleCatalog(), 2, {.client_idle_ms = 0});
  TestSource source(node, 0, node.stream("samples"));
  const grid::Origin self{.source = {ShardId(1), SourceId(0)}};
  node.gate(1).RouteFields(node.stream("samples"),
                           FieldsPayload({{"host", "x"}, {"ts", "1000"}, {"value", "1"}}), {},
                           self);
  node.gate(1).Flush();
  source.Read({Sample("a", 5000)});
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), IsEmpty());
  node.gate(1).LeaveClientInputs();
  node.Run();
  EXPECT_THAT(Keys(node, grid::TurnKind::kExpire), ElementsAre("host:x"));
}

TEST(Gate, StreamWithoutHandlersIsCountedAndSaidOnce) {
  grid::Catalog catalog;
  catalog.streams.push_back({.name = "nobody"});
  ASSERT_EQ(catalog.Finish(), "");
  std::vector<std::string> log;
  TestNode node(std::move(catalog), 1,
                {.log = [&](std::string_view line) { log.emplace_back(line); }});
  TestSource source(node, 0, node.stream("nobody"));
  source.Read({"{}", "{\"a\":1}"});
  node.Run();
  EXPECT_EQ(node.gate(0).events(), 2u);
  EXPECT_EQ(source.outstanding(), 0);
  EXPECT_THAT(log, ElementsAre("stream nobody: no handler takes its events"));
}

// --- max_age

constexpr int64_t kMaxAgeMs = 500;

grid::Catalog CatalogWithMaxAge() {
  grid::Catalog catalog = SampleCatalog();
  catalog.streams[0].max_age_ms = kMaxAgeMs;
  return catalog;
}

class MaxAge : public ::testing::Test {
 protected:
  uint64_t dropped() const { return too_old.Counts().at(0).second; }

  TooOldEvents too_old{CatalogWithMaxAge(), {}};
  TestNode node{CatalogWithMaxAge(), 1, {.too_old = &too_old}};
  const TimeMs oldest_ms = node.now_ms - kMaxAgeMs;
};

TEST_F(MaxAge, AnEventThatIsOlderIsDroppedAndCounted) {
  TestSource source(node, 0, node.stream("samples"));
  source.Read({Sample("old", oldest_ms - 1), Sample("a", oldest_ms), Sample("new", node.now_ms),
               Sample("far", kEventTimeMsMax), Sample("none", 0),
               Sample("far_gone", -kEventTimeMsMax)});
  node.Run();
  EXPECT_THAT(Keys(node), ElementsAre("host:a", "host:new", "host:far"));
  EXPECT_EQ(dropped(), 3u);
  EXPECT_EQ(node.gate(0).dead_letters(), 0u);
  EXPECT_EQ(node.gate(0).admitted(), 6u);
  EXPECT_EQ(source.outstanding(), 0);
}

TEST_F(MaxAge, TimeThatPassesBetweenReadsCounts) {
  TestSource source(node, 0, node.stream("samples"));
  source.Read({Sample("a", oldest_ms)});
  node.now_ms += 1;
  source.Read({Sample("b", oldest_ms)});
  node.Run();
  EXPECT_THAT(Keys(node), ElementsAre("host:a"));
}

TEST_F(MaxAge, WhatAClientAddedIsAsOldAsWhenItWasAdded) {
  const auto add = [&](const char* host, TimeMs added_ms) {
    node.gate(0).RouteFields(
        node.stream("samples"),
        FieldsPayload({{"host", host}, {"value", "1"}, {"ts", std::to_string(oldest_ms)}}),
        {.ms = static_cast<uint64_t>(added_ms)}, {.source = {ShardId(0), SourceId(0)}});
  };
  add("late", node.now_ms + 1);
  node.now_ms += 60'000;
  add("again", oldest_ms + kMaxAgeMs);
  node.gate(0).Flush();
  node.Run();
  EXPECT_THAT(Keys(node), ElementsAre("host:again"));
  EXPECT_EQ(dropped(), 1u);
}

TEST_F(MaxAge, WhatComputationsEmitMayBeOfAnyAge) {
  node.gate(0).RouteJson(node.stream("samples"), Sample("a", 1),
                         {.source = {ShardId(0), SourceId(0)}});
  node.gate(0).Flush();
  node.Run();
  EXPECT_THAT(Keys(node), ElementsAre("host:a"));
}

TEST(Gate, WhereNobodyCountsOldEventsAllAreTaken) {
  TestNode node(CatalogWithMaxAge(), 1);
  TestSource source(node, 0, node.stream("samples"));
  source.Read({Sample("a", 1)});
  node.Run();
  EXPECT_THAT(Keys(node), ElementsAre("host:a"));
}

// After a crash: what has been in time may have had its effect, which its entity knows.
TEST(Gate, ALateEventThatMayHaveBeenHandledInTimeIsNotRefusedAtTheDoor) {
  grid::Catalog catalog = SampleCatalog();
  for (grid::StreamSchema& stream : catalog.streams) {
    if (stream.name == "samples") stream.late_events = grid::LateEvents::kDeadLetter;
  }
  TestNode node(std::move(catalog), 1);
  TestSource source(node, 0, node.stream("samples"));
  source.channel.origin.channel = 1;  // of partition 0
  source.channel.origin.position = 4;
  auto ends = std::make_shared<grid::RecoveredEnds>();
  (*ends)[1] = 5;
  node.shard(0).shard().SetRecoveredEnds(std::move(ends));
  source.Read({Sample("new", 2000), Sample("known", 1000)});
  node.Run();
  EXPECT_THAT(Keys(node), ElementsAre("host:new", "host:known"));
  source.channel.origin.position = 5;  // nobody has seen that
  source.Read({Sample("late", 1000)});
  node.Run();
  EXPECT_THAT(Keys(node), SizeIs(2));
  EXPECT_EQ(node.gate(0).dead_letters(), 1u);
}

}  // namespace
}  // namespace bettong::ingest
