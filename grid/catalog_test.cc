#include "grid/catalog.h"
#include "grid/entity_message.h"

#include <gtest/gtest.h>

namespace bettong::grid {
namespace {

Catalog WithPrefixes(std::initializer_list<std::string> prefixes) {
  Catalog catalog;
  for (const std::string& prefix : prefixes)
    catalog.classes.push_back({.name = "Class" + prefix, .prefix = prefix});
  return catalog;
}

TEST(Catalog, ClassNamesBecomeSnakeCase) {
  EXPECT_EQ(SnakeCase("Host"), "host");
  EXPECT_EQ(SnakeCase("WebHost"), "web_host");
  EXPECT_EQ(SnakeCase("HTTPServer"), "http_server");
  EXPECT_EQ(SnakeCase("MyHTTPServer"), "my_http_server");
  EXPECT_EQ(SnakeCase("HTTP"), "http");
  EXPECT_EQ(SnakeCase("Host2"), "host2");
  EXPECT_EQ(SnakeCase("V2Host"), "v2_host");
  EXPECT_EQ(SnakeCase("Web_Host"), "web_host");
  EXPECT_EQ(SnakeCase("host"), "host");
  EXPECT_EQ(SnakeCase("A"), "a");
  EXPECT_EQ(SnakeCase(""), "");
  EXPECT_EQ(SnakeCase("H\xc3\xb4te"), "h\xc3\xb4te");
}

TEST(Catalog, TheNodesOwnStreamsAreAlwaysThereOnce) {
  Catalog catalog;
  catalog.streams.push_back({.name = "events"});
  ASSERT_EQ(catalog.Finish(), "");
  ASSERT_EQ(catalog.Finish(), "");
  EXPECT_EQ(catalog.streams.size(), 3u);
  EXPECT_EQ(catalog.streams[catalog.dead_letters.value()].name, kDeadLetterStream);
  EXPECT_EQ(catalog.streams[catalog.messages.value()].name, kMessageStream);
  EXPECT_TRUE(catalog.HasHandlers(catalog.messages));
  EXPECT_FALSE(catalog.HasHandlers(catalog.dead_letters));
}

TEST(Catalog, TwoClassesWithOnePrefixAreRefused) {
  Catalog catalog = WithPrefixes({"host", "cpu", "host"});
  catalog.classes[0].name = "a.Host";
  catalog.classes[2].name = "b.Host";
  EXPECT_EQ(catalog.Finish(),
            "two entity classes have the prefix 'host': a.Host and b.Host; give one of them "
            "prefix=\"...\"");
}

TEST(Catalog, TwoStreamsWithOneNameAreRefused) {
  Catalog catalog;
  catalog.streams = {{.name = "events"}, {.name = "alerts"}, {.name = "events"}};
  EXPECT_EQ(catalog.Finish(), "two streams have the name 'events'");
}

TEST(Catalog, AStreamAmongTheKeysOfAClassIsRefused) {
  Catalog catalog = WithPrefixes({"host"});
  catalog.streams = {{.name = "host"}, {.name = "hostess:news"}, {.name = "a:host:news"}};
  EXPECT_EQ(catalog.Finish(), "");
  catalog.streams.push_back({.name = "host:news"});
  EXPECT_EQ(catalog.Finish(),
            "the stream 'host:news' lies among the keys 'host:...' of entity class Classhost; "
            "rename it, or give the class another prefix=\"...\"");
}

TEST(Catalog, ThePrefixOfTheNodesOwnStreamsIsRefused) {
  Catalog catalog = WithPrefixes({"bettong"});
  EXPECT_EQ(catalog.Finish(),
            "entity class Classbettong: the keys 'bettong:...' belong to the node (stream "
            "'bettong:dead-letters'); give it another prefix=\"...\"");
  EXPECT_EQ(WithPrefixes({"bettongs", "bettong:dead-letters"}).Finish(), "");
}

TEST(Catalog, AnEventClassHasAsManyFieldsAsARecordHasNullBits) {
  Catalog catalog;
  catalog.streams.push_back({.name = "events", .event = {.name = "Sample"}});
  catalog.streams[0].event.fields.resize(kEventFieldsMax);
  EXPECT_EQ(catalog.Finish(), "");
  catalog.streams[0].event.fields.resize(kEventFieldsMax + 1);
  EXPECT_EQ(catalog.Finish(), "event class Sample: more than 64 fields");
}

TEST(Catalog, AnErrorInAClassNamesTheClass) {
  Catalog catalog = WithPrefixes({"host"});
  catalog.classes[0].row.fields = {{.name = "panes", .type = FieldType::kIntArray}};
  EXPECT_THAT(catalog.Finish(), ::testing::StartsWith("entity class Classhost: field 'panes': "));
}

TEST(Catalog, MoreThanTheLimitsIsRefused) {
  Catalog streams;
  for (size_t i = 0; i < kStreamsMax; ++i)
    streams.streams.push_back({.name = "s" + std::to_string(i)});
  EXPECT_EQ(streams.Finish(), "more than 4096 streams");  // with the dead letters
  Catalog classes;
  for (size_t i = 0; i <= kClassesMax; ++i) {
    classes.classes.push_back({.name = "C" + std::to_string(i), .prefix = "c" + std::to_string(i)});
  }
  EXPECT_EQ(classes.Finish(), "more than 4096 entity classes");
  classes.classes.pop_back();
  EXPECT_EQ(classes.Finish(), "");
  Catalog functions;
  functions.streams.push_back({.name = "s"});
  for (size_t i = 0; i <= kFunctionsMax; ++i) {
    functions.functions.push_back({.name = "f" + std::to_string(i), .stream = StreamId(0)});
  }
  EXPECT_EQ(functions.Finish(), "more than 4096 functions on streams");
  functions.functions.pop_back();
  EXPECT_EQ(functions.Finish(), "");
}

TEST(Catalog, MessagesGoToTheirReceiversAlone) {
  constexpr char kError[] =
      "the events of stream 'bettong:messages' are messages to the entities that they name: no "
      "other handler can have them";
  Catalog function;
  function.streams.push_back({.name = std::string(kMessageStream)});
  function.functions.push_back({.name = "f", .stream = StreamId(0)});
  EXPECT_EQ(function.Finish(), kError);
  Catalog entity = WithPrefixes({"host"});
  entity.streams.push_back({.name = std::string(kMessageStream)});
  entity.classes[0].handlers.push_back({.stream = StreamId(0), .method = "m"});
  EXPECT_EQ(entity.Finish(), kError);
}

TEST(Catalog, AStreamsFunctionsAreFoundByName) {
  Catalog catalog;
  catalog.streams = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
  catalog.functions = {{.name = "f", .stream = StreamId(1)},
                       {.name = "g", .stream = StreamId(0)},
                       {.name = "f", .stream = StreamId(0)}};
  for (int times = 0; times < 2; ++times) ASSERT_EQ(catalog.Finish(), "");
  EXPECT_EQ(catalog.streams[0].functions, (std::vector<uint16_t>{1, 2}));
  uint16_t index = 0;
  EXPECT_EQ(catalog.FindFunction(StreamId(0), "f", &index), &catalog.functions[2]);
  EXPECT_EQ(index, 2);
  EXPECT_EQ(catalog.FindFunction(StreamId(1), "g"), nullptr);
  EXPECT_TRUE(catalog.HasHandlers(StreamId(1)));
  EXPECT_FALSE(catalog.HasHandlers(StreamId(2)));
}

TEST(Catalog, AKeyBelongsToTheClassWithTheLongestPrefix) {
  Catalog catalog = WithPrefixes({"host", "host:cpu", "hostess", "a:b"});
  ASSERT_EQ(catalog.Finish(), "");
  auto prefix_of = [&](std::string_view key) {
    ClassId id;
    const ClassSchema* found = catalog.ClassOfKey(key, &id);
    if (found == nullptr) return std::string("none");
    EXPECT_EQ(found, &catalog.classes[id.value()]);
    return found->prefix;
  };
  EXPECT_TRUE(catalog.classes[0].shares_prefix);
  for (size_t i = 1; i < 4; ++i) EXPECT_FALSE(catalog.classes[i].shares_prefix);
  EXPECT_EQ(prefix_of("host:web-01"), "host");
  EXPECT_EQ(prefix_of("host:"), "host");
  EXPECT_EQ(prefix_of("host:cpu"), "host");
  EXPECT_EQ(prefix_of("host:cpu:3"), "host:cpu");
  EXPECT_EQ(prefix_of("host:cpux:3"), "host");
  EXPECT_EQ(prefix_of("hostess:3"), "hostess");
  EXPECT_EQ(prefix_of("a:b:c"), "a:b");
  EXPECT_EQ(prefix_of("a:c"), "none");
  EXPECT_EQ(prefix_of("host"), "none");
  EXPECT_EQ(prefix_of("Host:x"), "none");
  EXPECT_EQ(prefix_of(""), "none");
}

TEST(Catalog, AClassIsFoundByNamePrefixAndSnakeCase) {
  Catalog catalog;
  catalog.classes.push_back({.name = "WebHost", .prefix = "wh"});
  ASSERT_EQ(catalog.Finish(), "");
  ClassId id(9);
  EXPECT_NE(catalog.FindClass("WebHost", &id), nullptr);
  EXPECT_EQ(id, ClassId(0));
  EXPECT_NE(catalog.FindClass("wh"), nullptr);
  EXPECT_NE(catalog.FindClass("web_host"), nullptr);
  EXPECT_EQ(catalog.FindClass("webhost"), nullptr);
}

TEST(Catalog, StreamsKnowTheirHandlersInOrderAlsoAfterASecondFinish) {
  Catalog catalog = WithPrefixes({"a", "b"});
  catalog.streams = {{.name = "one"}, {.name = "two"}};
  catalog.classes[0].handlers = {{.stream = StreamId(1), .method = "x"},
                                 {.stream = StreamId(0), .method = "y"}};
  catalog.classes[1].handlers = {{.stream = StreamId(1), .method = "z"}};
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(catalog.Finish(), "");
    EXPECT_EQ(catalog.streams[0].subscriptions.size(), 1u);
    const auto& two = catalog.streams[1].subscriptions;
    ASSERT_EQ(two.size(), 2u);
    EXPECT_EQ(two[0].entity_class, ClassId(0));
    EXPECT_EQ(two[0].handler, 0);
    EXPECT_EQ(two[1].entity_class, ClassId(1));
  }
}

TEST(Catalog, AnEventWithoutAClassIsOneFieldOfJson) {
  Catalog catalog;
  catalog.streams = {{.name = "events"}};
  ASSERT_EQ(catalog.Finish(), "");
  ASSERT_EQ(catalog.streams[0].event.fields.size(), 1u);
  EXPECT_EQ(catalog.streams[0].event.fields[0].type, EventFieldType::kAny);
}

TEST(Catalog, AConditionIsOfOneEventAndFitsTheClass) {
  using Kind = ConditionTerm::Kind;
  Catalog catalog = WithPrefixes({"host"});
  catalog.streams = {{.name = "events"}};
  catalog.classes[0].row.fields = {{.name = "up", .type = FieldType::kBool}, {.name = "n"}};
  catalog.classes[0].handlers = {{.stream = StreamId(0), .method = "take"}};
  HandlerSchema& handler = catalog.classes[0].handlers[0];
  handler.when.terms = {{.kind = Kind::kField, .at = 0}};
  EXPECT_EQ(catalog.Finish(), "");
  EXPECT_EQ(catalog.Finish(), "");
  handler.when.terms[0].at = 1;
  EXPECT_EQ(catalog.Finish(),
            "entity class Classhost: when= of take: it is no comparison, nor a bool");
  handler.when.terms[0].at = 0;
  handler.batch_max = 5;
  EXPECT_EQ(catalog.Finish(),
            "entity class Classhost: when= of take: it is of one event, and the handler takes "
            "several");
}

}  // namespace
}  // namespace bettong::grid
