#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/port_testing.h"

namespace bettong::protocol {
namespace {

using testing::HasSubstr;

class EntityCommandsTest : public testing::Test {
 protected:
  EntityCommandsTest() { port_.CreateEntity("host:a"); }
  std::string Call(const std::vector<std::string>& args) { return client_.Call(args); }

  TestPort port_{2, HostCatalog()};
  TestClient& client_ = port_.Connect();
};

TEST_F(EntityCommandsTest, AppearAsHashes) {
  EXPECT_EQ(Call({"TYPE", "host:a"}), "+hash\r\n");
  EXPECT_EQ(
      Call({"HGETALL", "host:a"}),
      "*10\r\n$5\r\ncount\r\n$1\r\n0\r\n$4\r\nmean\r\n$1\r\n0\r\n$8\r\nalerting\r\n$1\r\n0\r\n"
      "$5\r\nlabel\r\n$0\r\n\r\n$4\r\nseen\r\n$0\r\n\r\n");
  EXPECT_EQ(Call({"HLEN", "host:a"}), ":5\r\n");
  EXPECT_EQ(Call({"HMGET", "host:a", "count", "nope"}), "*2\r\n$1\r\n0\r\n$-1\r\n");
  EXPECT_EQ(Call({"HEXISTS", "host:a", "mean"}), ":1\r\n");
  EXPECT_EQ(Call({"HGETALL", "host:missing"}), "*0\r\n") << "reading never creates";
  EXPECT_EQ(Call({"EXISTS", "host:missing"}), ":0\r\n");
}

TEST_F(EntityCommandsTest, FieldsAreTyped) {
  EXPECT_EQ(Call({"HSET", "host:a", "count", "7", "label", "x"}), ":0\r\n");
  EXPECT_EQ(Call({"HINCRBY", "host:a", "count", "3"}), ":10\r\n");
  EXPECT_EQ(Call({"HINCRBYFLOAT", "host:a", "mean", "1.5"}), "$3\r\n1.5\r\n");
  EXPECT_EQ(Call({"HSET", "host:a", "alerting", "true"}), ":0\r\n");
  EXPECT_EQ(Call({"HVALS", "host:a"}),
            "*5\r\n$2\r\n10\r\n$3\r\n1.5\r\n$1\r\n1\r\n$1\r\nx\r\n$0\r\n\r\n");
}

TEST_F(EntityCommandsTest, WrongValuesAreRefusedAndNothingIsSet) {
  EXPECT_EQ(Call({"HSET", "host:a", "label", "changed", "count", "x"}),
            "-ERR field 'count' of Host is an int: value is not an integer or out of range\r\n");
  EXPECT_EQ(Call({"HGET", "host:a", "label"}), "$0\r\n\r\n");
  EXPECT_EQ(Call({"HSET", "host:a", "cuont", "1"}),
            "-ERR Host has no field 'cuont'; did you mean 'count'?\r\n");
  EXPECT_EQ(Call({"HINCRBY", "host:a", "label", "1"}),
            "-ERR field 'label' of Host is a str: HINCRBY needs an int field\r\n");
  EXPECT_EQ(Call({"HINCRBY", "host:a", "count", "9223372036854775807"}),
            ":9223372036854775807\r\n");
  EXPECT_EQ(Call({"HINCRBY", "host:a", "count", "1"}),
            "-ERR field 'count' of Host is an int: increment or decrement would overflow\r\n");
  EXPECT_THAT(Call({"HDEL", "host:a", "count"}), HasSubstr("DEL removes it as a whole"));
  EXPECT_EQ(Call({"HSETNX", "host:a", "count", "1"}), ":0\r\n");
}

TEST_F(EntityCommandsTest, OtherTypesOfCommandsAreRefused) {
  const std::string refused =
      "-WRONGTYPE Key 'host:a' holds an entity of class Host; use CALL or HSET\r\n";
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"SET", "host:a", "1"},
                                             {"SET", "host:a", "1", "XX"},
                                             {"GET", "host:a"},
                                             {"INCR", "host:a"},
                                             {"APPEND", "host:a", "x"},
                                             {"GETSET", "host:a", "x"},
                                             {"XADD", "host:a", "*", "f", "v"},
                                             {"XRANGE", "host:a", "-", "+"},
                                             {"MSET", "host:a", "1"}}) {
    EXPECT_EQ(Call(command), refused) << command[0];
  }
}

TEST_F(EntityCommandsTest, NamesOfEntitiesCannotBeTaken) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"SET", "host:new", "1"},
                                             {"SETNX", "host:new", "1"},
                                             {"HSET", "host:new", "count", "1"},
                                             {"HINCRBY", "host:new", "count", "1"},
                                             {"INCR", "host:new"},
                                             {"XADD", "host:new", "*", "f", "v"},
                                             {"SETRANGE", "host:new", "1", "x"},
                                             {"MSET", "host:new", "1"}}) {
    EXPECT_THAT(Call(command), HasSubstr("belongs to entities of class Host")) << command[0];
  }
  EXPECT_THAT(Call({"SET", "alerts", "1"}), HasSubstr("declared stream"));
  EXPECT_EQ(Call({"DBSIZE"}), ":1\r\n");
}

TEST_F(EntityCommandsTest, DeadlinesAndDel) {
  EXPECT_EQ(Call({"EXPIRE", "host:a", "100"}), ":1\r\n");
  EXPECT_EQ(Call({"TTL", "host:a"}), ":100\r\n");
  EXPECT_EQ(Call({"PERSIST", "host:a"}), ":1\r\n");
  EXPECT_EQ(Call({"DEL", "host:a"}), ":1\r\n");
  EXPECT_EQ(Call({"HGETALL", "host:a"}), "*0\r\n");
}

TEST_F(EntityCommandsTest, CallRunsAMethod) {
  EXPECT_EQ(Call({"CALL", "host:a", "echo", "1", "two"}),
            "*3\r\n$6\r\nhost:a\r\n$1\r\n1\r\n$3\r\ntwo\r\n");
  EXPECT_EQ(Call({"FCALL", "host.echo", "1", "host:a", "x"}), "*2\r\n$6\r\nhost:a\r\n$1\r\nx\r\n");
  EXPECT_EQ(Call({"FCALL_RO", "Host.echo", "1", "a"}), "*1\r\n$6\r\nhost:a\r\n");
}

TEST_F(EntityCommandsTest, CallThatCannotBeSaysWhy) {
  EXPECT_EQ(Call({"CALL", "host:a", "nope"}),
            "-ERR Host has no command 'nope'; it has: echo, other\r\n");
  EXPECT_EQ(Call({"CALL", "foo", "echo"}),
            "-ERR 'foo' is no entity's key: entities' keys start with 'host:'\r\n");
  EXPECT_THAT(Call({"CALL", "host:missing", "echo"}), HasSubstr("-ERR no such entity"));
  EXPECT_THAT(Call({"FCALL", "nothing", "1", "a"}), HasSubstr("-ERR Function not found"));
  EXPECT_THAT(Call({"FCALL", "host.echo", "x", "a"}), HasSubstr("-ERR Bad number of keys"));
  EXPECT_THAT(Call({"FCALL", "host.echo", "2", "a"}), HasSubstr("greater than number of args"));
}

TEST_F(EntityCommandsTest, PipelinedCallsKeepTheirOrder) {
  port_.CreateEntity("host:b");
  std::string bytes, expected;
  for (int i = 0; i < 200; ++i) {
    const std::string key = i % 3 == 0 ? "host:b" : "host:a";
    bytes +=
        Encode({"CALL", key, "echo", std::to_string(100 + i)}) + Encode({"HGET", key, "count"});
    expected += "*2\r\n$6\r\n" + key + "\r\n$3\r\n" + std::to_string(100 + i) + "\r\n$1\r\n0\r\n";
  }
  EXPECT_EQ(client_.Send(bytes), expected);
}

TEST_F(EntityCommandsTest, SchemaTellsWhatIsDeclared) {
  const std::string schema = Call({"SCHEMA", "host"});
  EXPECT_THAT(schema, HasSubstr("count"));
  EXPECT_THAT(schema, HasSubstr("int | None"));
  EXPECT_THAT(schema, HasSubstr("echo() -> list"));
  EXPECT_THAT(Call({"SCHEMA"}), HasSubstr("bettong:dead-letters"));
  EXPECT_EQ(Call({"SCHEMA", "Hots"}), "-ERR no class 'Hots'; did you mean 'Host'?\r\n");
}

TEST_F(EntityCommandsTest, EmittedJsonReadsAsFields) {
  const std::string json =
      R"({"host":"a \"b\"","mean":1.50,"n":null,"list":[1, 2],"deep":{"x":"y"}})";
  const grid::ViewEntry view{StreamId(0), json, grid::Origin{}};
  grid::Message message;
  message.kind = grid::MessageKind::kViewEntry;
  message.view = &view;
  port_.loops[port_.ShardOf("alerts")]->Submit({&message, 1});
  EXPECT_THAT(Call({"XRANGE", "alerts", "-", "+"}),
              HasSubstr("*10\r\n$4\r\nhost\r\n$5\r\na \"b\"\r\n$4\r\nmean\r\n$4\r\n1.50\r\n"
                        "$1\r\nn\r\n$4\r\nnull\r\n$4\r\nlist\r\n$6\r\n[1, 2]\r\n"
                        "$4\r\ndeep\r\n$9\r\n{\"x\":\"y\"}\r\n"));
}

}  // namespace
}  // namespace bettong::protocol
