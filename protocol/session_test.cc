#include "protocol/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "protocol/port_testing.h"

namespace bettong::protocol {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Sends bytes; the client reads on until everything is taken.
std::string SendAll(TestClient& client, std::string_view bytes) {
  std::string replies = client.Send(bytes);
  while (client.InputBytes() > 0) replies += client.Send("");
  return replies;
}

// A session that has shown small replies gives large batches.
void WarmUp(TestClient& client, const std::string& key) {
  std::string bytes;
  for (size_t i = 0; i < 8 * kBatchCommandsMax; ++i) bytes += Encode({"EXISTS", key});
  SendAll(client, bytes);
  EXPECT_EQ(client.session().batch_commands_max(), kBatchCommandsMax);
}

TEST(Session, RepliesComeInTheOrderOfCommandsWhicheverShardAnswers) {
  TestPort port(3);
  TestClient& client = port.Connect(1);
  std::string bytes, expected;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "k" + std::to_string(i % 50);
    const std::string value = std::to_string(i);
    bytes += Encode({"SET", key, value}) + Encode({"GET", key});
    expected += "+OK\r\n$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
    if (i % 7 == 0) bytes += "PING\r\n", expected += "+PONG\r\n";
  }
  EXPECT_EQ(client.Send(bytes), expected);
}

TEST(Session, OnePieceOrManyPiecesOfInputGiveTheSameReplies) {
  TestPort port(2);
  TestClient& client = port.Connect();
  const std::string bytes = Encode({"SET", "a", "1"}) + Encode({"INCR", "a"}) + "get a\r\n" +
                            Encode({"MGET", "a", "b"}) + Encode({"NOPE"});
  const std::string whole = client.Send(bytes);
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    std::string pieces = client.Send(std::string_view(bytes).substr(0, cut));
    pieces += client.Send(std::string_view(bytes).substr(cut));
    ASSERT_EQ(pieces, whole) << cut;
  }
}

TEST(Session, KeysOfSeveralShards) {
  TestPort port(3);
  TestClient& client = port.Connect();
  const std::string a = port.KeyOn(0), b = port.KeyOn(1), c = port.KeyOn(2);
  client.Call({"SET", a, "A"});
  client.Call({"SET", b, "B"});
  EXPECT_EQ(client.Call({"MGET", c, b, "nope", a, b}),
            "*5\r\n$-1\r\n$1\r\nB\r\n$-1\r\n$1\r\nA\r\n$1\r\nB\r\n");
  EXPECT_EQ(client.Call({"EXISTS", a, b, c, a}), ":3\r\n");
  EXPECT_EQ(client.Call({"DBSIZE"}), ":2\r\n");
  EXPECT_THAT(client.Call({"MSET", a, "1", b, "2"}), StartsWith("-CROSSSLOT "));
  EXPECT_EQ(client.Call({"MSET", a, "1", port.KeyOn(0, 1), "2"}), "+OK\r\n");
  EXPECT_EQ(client.Call({"DEL", a, b, c}), ":2\r\n");
  EXPECT_EQ(client.Call({"FLUSHALL"}), "+OK\r\n");
  EXPECT_EQ(client.Call({"DBSIZE"}), ":0\r\n");
  EXPECT_EQ(client.Call({"RANDOMKEY"}), "$-1\r\n");
}

TEST(Session, ManyMoreKeysThanPartsFitInOneDel) {
  TestPort port(2);
  TestClient& client = port.Connect();
  std::vector<std::string> del = {"DEL"};
  for (int i = 0; i < 70'000; ++i) del.push_back("k" + std::to_string(i % 1000));
  for (int i = 0; i < 1000; ++i) client.Call({"SET", "k" + std::to_string(i), "x"});
  EXPECT_EQ(client.Call(del), ":1000\r\n");
}

// The views of such a command do not fit beside others in one block of the batch's memory.
constexpr size_t kManyArguments = kBatchViewBytesMax / sizeof(std::string_view);

TEST(Session, CommandOfTheSessionItselfWithManyArguments) {
  TestPort port(2);
  TestClient& client = port.Connect();
  std::vector<std::string> subscribe = {"SUBSCRIBE"};
  std::string expected;
  for (size_t i = 1; i <= 2 * kManyArguments; ++i) {
    const std::string name = std::to_string(i);
    subscribe.push_back(name);
    expected += "*3\r\n$9\r\nsubscribe\r\n$" + std::to_string(name.size()) + "\r\n" + name +
                "\r\n:" + name + "\r\n";
  }
  EXPECT_EQ(client.Call(subscribe), expected);
}

TEST(Session, CommandsOfTheSessionItselfKeepTheirArgumentsBehindALongCommand) {
  TestPort port(2);
  TestClient& client = port.Connect();
  std::vector<std::string> mget = {"MGET"};
  for (size_t i = 1; i < kManyArguments; ++i) mget.push_back("nope");
  const std::string nothing = client.Call(mget);
  const std::vector<std::pair<std::vector<std::string>, std::string>> commands = {
      {{"ECHO", "hello"}, "$5\r\nhello\r\n"},
      {{"CLIENT", "SETNAME", "joe"}, "+OK\r\n"},
      {{"PUBLISH", "channel", "payload"}, ":0\r\n"},
      {{"CONFIG", "GET", "maxclients"}, "*2\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n"},
      {{"RESET"}, "+RESET\r\n"},
  };
  for (const auto& [command, reply] : commands) {
    EXPECT_EQ(client.Send(Encode(mget) + Encode(command)), nothing + reply) << command[0];
  }
}

TEST(Session, CommandsThatAddNothingToTheBatchFillItToo) {
  TestPort port(1, nullptr, {.password = "secret"});
  TestClient& client = port.Connect();
  std::string bytes;
  for (size_t i = 0; i < kManyArguments / 3; ++i) bytes += Encode({"GET", "a", "b"});
  client.Send(bytes + Encode({"AUTH", "default", "secret"}));
  EXPECT_EQ(client.Call({"GET", "a"}), "$-1\r\n");
  // None of their arguments is kept.
  EXPECT_EQ(port.port(0).batch().bytes(), 0u);
}

TEST(Session, MoreCommandsThanMayBeOutstandingAreAllAnswered) {
  TestPort port(2);
  TestClient& client = port.Connect(0);
  const std::string far = port.KeyOn(1);
  constexpr size_t kCommands = kCommandsOutstandingMax * 3;
  std::string bytes, expected;
  for (size_t i = 1; i <= kCommands; ++i) {
    bytes += Encode({"INCR", far});
    expected += ":" + std::to_string(i) + "\r\n";
  }
  EXPECT_EQ(client.Send(bytes), expected);
  EXPECT_EQ(client.InputBytes(), 0u);
}

TEST(Session, UnansweredCommandsOfOneSessionAreBoundedInBytes) {
  constexpr size_t kValueBytes = 1u << 20, kCommands = 40;
  TestPort port(2);
  TestClient& client = port.Connect(0);
  WarmUp(client, port.KeyOn(1));
  const std::string set = Encode({"SET", port.KeyOn(1), std::string(kValueBytes, 'v')});
  for (size_t i = 0; i < kCommands; ++i) client.Give(set);
  const size_t taken = kCommands * set.size() - client.InputBytes();
  EXPECT_GT(taken, kCommandBytesOutstandingMax);
  EXPECT_LE(taken, kCommandBytesOutstandingMax + set.size());
  EXPECT_EQ(port.port(0).command_bytes_open(), taken);
  EXPECT_EQ(client.Send("").size(), kCommands * 5);
  EXPECT_EQ(client.InputBytes(), 0u);
  EXPECT_EQ(port.port(0).command_bytes_open(), 0u);
}

TEST(Session, UnansweredCommandsOfAPortAreBoundedInBytes) {
  constexpr size_t kValueBytes = 8u << 20, kClients = 17;
  TestPort port(2);
  const std::string set = Encode({"SET", port.KeyOn(1), std::string(kValueBytes, 'v')});
  for (size_t i = 0; i < kClients; ++i) port.Connect(0).Give(set);
  // Each has one command under way; none takes a second beside so much.
  EXPECT_GT(port.port(0).command_bytes_open(), kPortCommandBytesOutstandingMax);
  for (auto& client : port.clients) client->Give(set);
  for (auto& client : port.clients) EXPECT_EQ(client->InputBytes(), set.size());
  port.Run();
  for (auto& client : port.clients) EXPECT_EQ(client->Take(), "+OK\r\n+OK\r\n");
  EXPECT_EQ(port.port(0).command_bytes_open(), 0u);
}

TEST(Session, RepliesHeldBehindASlowerOneCountAsOutput) {
  TestPort port(2);
  TestClient& client = port.Connect(0);
  const std::string near = port.KeyOn(0), far = port.KeyOn(1);
  client.Call({"SET", near, std::string(kOutputPauseBytes, 'v')});
  client.Give(Encode({"GET", far}) + Encode({"GET", near}));
  EXPECT_GT(client.session().output_bytes(), kOutputPauseBytes);
  client.Give(Encode({"GET", near}));
  EXPECT_GT(client.InputBytes(), 0u);
  EXPECT_THAT(client.Send(""), StartsWith("$-1\r\n$1048576\r\n"));
  EXPECT_EQ(client.session().output_bytes(), 0u);
}

TEST(Session, StreamsOfSeveralShardsComeInTheOrderOfTheRequest) {
  TestPort port(3);
  TestClient& client = port.Connect();
  std::vector<std::string> keys, read = {"XREAD", "STREAMS"};
  for (int i = 0; i < 4; ++i) {
    for (size_t shard : {2u, 0u, 1u}) keys.push_back(port.KeyOn(shard, i));
  }
  keys.push_back(keys[1]);  // twice
  std::string streams;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i % 4 == 3) continue;  // nothing there
    client.Call({"XADD", keys[i], i + 1 < keys.size() ? "1-1" : "2-1", "f", "v"});
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i % 4 == 3) continue;
    const bool twice = keys[i] == keys[1];
    streams += "$" + std::to_string(keys[i].size()) + "\r\n" + keys[i] + "\r\n*" +
               (twice ? "2" : "1") + "\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n" +
               (twice ? "*2\r\n$3\r\n2-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n" : "");
  }
  read.insert(read.end(), keys.begin(), keys.end());
  read.insert(read.end(), keys.size(), "0");
  client.Call({"HELLO", "3"});
  EXPECT_EQ(client.Call(read), "%10\r\n" + streams);
  client.Call({"HELLO", "2"});
  const std::string reply = client.Call(read);
  EXPECT_THAT(reply, StartsWith("*10\r\n*2\r\n"));
  for (size_t i = 0, at = 0; i < keys.size(); ++i) {
    if (i % 4 == 3) continue;
    at = reply.find("\r\n" + keys[i] + "\r\n", at);
    ASSERT_NE(at, std::string::npos) << keys[i];
  }
}

TEST(Session, BlockedReadHoldsBackLaterCommandsAndWakesOnAppend) {
  TestPort port(3);
  TestClient& reader = port.Connect(0);
  TestClient& writer = port.Connect(1);
  const std::string near = port.KeyOn(0), far = port.KeyOn(2);
  EXPECT_EQ(reader.Send(Encode({"XREAD", "BLOCK", "0", "STREAMS", near, far, "$", "$"}) +
                        Encode({"SET", "later", "1"})),
            "");
  EXPECT_TRUE(reader.session().blocked());
  EXPECT_EQ(writer.Call({"EXISTS", "later"}), ":0\r\n");
  writer.Call({"XADD", far, "5-1", "f", "v"});
  EXPECT_EQ(reader.Take(), "*1\r\n*2\r\n$" + std::to_string(far.size()) + "\r\n" + far +
                               "\r\n*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n+OK\r\n");
  EXPECT_FALSE(reader.session().blocked());
  // The other shard's reader was given up: an entry there must not answer anything.
  writer.Call({"XADD", near, "5-1", "f", "v"});
  EXPECT_EQ(reader.Take(), "");
  EXPECT_EQ(reader.Call({"PING"}), "+PONG\r\n");
}

TEST(Session, BlockedReadTimesOutWithNull) {
  TestPort port(2);
  TestClient& client = port.Connect();
  EXPECT_EQ(client.Call({"XREAD", "BLOCK", "100", "STREAMS", "a", "b", "$", "$"}), "");
  port.AdvanceTime(101);
  for (auto& loop : port.loops) loop->Submit({});
  port.Run();
  EXPECT_EQ(client.Take(), "*-1\r\n");
}

TEST(Session, ClientThatIsGoneLeavesNoReader) {
  TestPort port(2);
  TestClient& client = port.Connect();
  client.Call({"XREAD", "BLOCK", "0", "STREAMS", "a", "b", "$", "$"});
  client.Disconnect();
  port.Run();
  TestClient& writer = port.Connect();
  EXPECT_THAT(writer.Call({"XADD", "a", "*", "f", "v"}), StartsWith("$"));
}

TEST(Session, MessagesReachSubscribersOfAllShards) {
  TestPort port(3);
  TestClient& near = port.Connect(0);
  TestClient& far = port.Connect(2);
  TestClient& publisher = port.Connect(0);
  EXPECT_EQ(near.Call({"SUBSCRIBE", "news"}), "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
  far.Call({"HELLO", "3"});
  EXPECT_EQ(far.Call({"PSUBSCRIBE", "n*"}), ">3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:1\r\n");
  EXPECT_EQ(publisher.Call({"PUBLISH", "news", "hi"}), ":2\r\n");
  EXPECT_EQ(near.Take(), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
  EXPECT_EQ(far.Take(), ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
  EXPECT_EQ(publisher.Call({"PUBSUB", "NUMSUB", "news", "x"}),
            "*4\r\n$4\r\nnews\r\n:1\r\n$1\r\nx\r\n:0\r\n");
  EXPECT_THAT(near.Call({"GET", "x"}), StartsWith("-ERR Can't execute 'get': only (P|S)SUBSCRIBE"));
  EXPECT_EQ(far.Call({"GET", "x"}), "_\r\n") << "RESP3 tells messages from replies";
  near.Disconnect();
  EXPECT_EQ(publisher.Call({"PUBLISH", "news", "hi"}), ":1\r\n");
}

TEST(Session, PublishAsksOnlyShardsWithSubscribers) {
  TestPort port(3);
  TestClient& publisher = port.Connect(0);
  publisher.Give(Encode({"PUBLISH", "news", "hi"}));  // no other shard has run
  EXPECT_EQ(publisher.Take(), ":0\r\n");
  port.Connect(2).Call({"SUBSCRIBE", "news"});
  publisher.Give(Encode({"PUBLISH", "news", "hi"}));
  EXPECT_EQ(publisher.Take(), "");
  EXPECT_EQ(publisher.Send(""), ":1\r\n");
}

TEST(Session, ResetStatResetsWhatInfoSums) {
  TestPort port(2);
  TestClient& client = port.Connect();
  for (size_t shard : {0u, 1u}) client.Call({"GET", port.KeyOn(shard)});
  EXPECT_THAT(client.Call({"INFO", "stats"}), HasSubstr("\r\nkeyspace_misses:2\r\n"));
  client.Call({"CONFIG", "RESETSTAT"});
  EXPECT_THAT(client.Call({"INFO", "stats"}), HasSubstr("\r\nkeyspace_misses:0\r\n"));
  client.Call({"GET", port.KeyOn(1)});
  EXPECT_THAT(client.Call({"INFO", "stats"}), HasSubstr("\r\nkeyspace_misses:1\r\n"));
}

TEST(Session, SubscriptionIsConfirmedAfterEarlierReplies) {
  TestPort port(2);
  TestClient& client = port.Connect(0);
  const std::string far = port.KeyOn(1);
  EXPECT_EQ(client.Send(Encode({"SET", far, "1"}) + Encode({"SUBSCRIBE", "c"}) + "PING\r\n"),
            "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

TEST(Session, KeyspaceNotificationsFollowConfigSet) {
  TestPort port(2);
  TestClient& subscriber = port.Connect(0);
  TestClient& client = port.Connect(1);
  subscriber.Call({"PSUBSCRIBE", "__key*__:*"});
  EXPECT_EQ(client.Call({"CONFIG", "SET", "notify-keyspace-events", "Ex"}), "+OK\r\n");
  client.Call({"SET", "a", "1", "PX", "50"});
  EXPECT_EQ(subscriber.Take(), "");
  port.AdvanceTime(51);
  for (auto& loop : port.loops) loop->Submit({});
  port.Run();
  EXPECT_THAT(subscriber.Take(), HasSubstr("__keyevent@0__:expired\r\n$1\r\na\r\n"));
}

TEST(Session, ScanGivesEveryKeyOnceWhileOthersComeAndGo) {
  TestPort port(3);
  TestClient& client = port.Connect(0);
  std::set<std::string> stay;
  for (int i = 0; i < 3000; ++i) {
    stay.insert("stay:" + std::to_string(i));
    client.Call({"SET", "stay:" + std::to_string(i), "x"});
    client.Call({"SET", "go:" + std::to_string(i), "x"});
  }
  std::multiset<std::string> seen;
  std::string cursor = "0";
  int round = 0;
  do {
    const std::string reply = client.Call({"SCAN", cursor, "COUNT", "100"});
    std::vector<std::string> lines;
    for (size_t at = 0; at < reply.size();) {
      const size_t end = reply.find("\r\n", at);
      lines.push_back(reply.substr(at, end - at));
      at = end + 2;
    }
    cursor = lines[2];
    for (size_t i = 5; i < lines.size(); i += 2) seen.insert(lines[i]);
    client.Call({"DEL", "go:" + std::to_string(round * 31 % 3000)});
    client.Call({"SET", "new:" + std::to_string(round), std::string(200, 'x')});
    client.Call({"APPEND", "stay:" + std::to_string(round * 17 % 3000), std::string(100, 'y')});
    ++round;
  } while (cursor != "0");
  for (const std::string& key : stay) ASSERT_EQ(seen.count(key), 1u) << key;
  for (const std::string& key : seen) ASSERT_EQ(seen.count(key), 1u) << key;
}

TEST(Session, ReplyModeSilencesCommands) {
  TestPort port(2);
  TestClient& client = port.Connect();
  EXPECT_EQ(client.Send(Encode({"CLIENT", "REPLY", "SKIP"}) + Encode({"SET", "a", "1"}) +
                        Encode({"GET", "a"})),
            "$1\r\n1\r\n");
  EXPECT_EQ(client.Send(Encode({"CLIENT", "REPLY", "OFF"}) + Encode({"GET", "a"}) +
                        Encode({"NOPE"}) + Encode({"DEL", "a", "b"})),
            "");
  EXPECT_EQ(client.Call({"SUBSCRIBE", "c"}), "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  EXPECT_EQ(client.Call({"UNSUBSCRIBE"}), "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
  EXPECT_EQ(client.Call({"CLIENT", "REPLY", "ON"}), "+OK\r\n");
  EXPECT_EQ(client.Call({"PING"}), "+PONG\r\n");
}

TEST(Session, QuitAnswersAndCloses) {
  TestPort port(1);
  TestClient& client = port.Connect();
  EXPECT_EQ(client.Send("SET a 1\r\nQUIT\r\nSET a 2\r\n"), "+OK\r\n+OK\r\n");
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(port.Connect().Call({"GET", "a"}), "$1\r\n1\r\n");
}

TEST(Session, ProtocolErrorIsAnsweredAndCloses) {
  TestPort port(1);
  TestClient& client = port.Connect();
  EXPECT_EQ(client.Send("PING\r\n*1\r\n:5\r\nPING\r\n"),
            "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n");
  EXPECT_TRUE(client.closed());
}

TEST(Session, HttpIsHungUpOn) {
  TestPort port(1);
  TestClient& client = port.Connect();
  EXPECT_EQ(client.Send("POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n"), "");
  EXPECT_TRUE(client.closed());
}

TEST(Session, PasswordIsAskedFor) {
  TestPort port(1, nullptr, {.password = "secret"});
  TestClient& client = port.Connect();
  EXPECT_EQ(client.Call({"GET", "a"}), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(client.Call({"AUTH", "wrong"}),
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_EQ(client.Call({"AUTH", "default", "secret"}), "+OK\r\n");
  EXPECT_EQ(client.Call({"GET", "a"}), "$-1\r\n");
}

TEST(Session, OutputThatNobodyReadsHoldsCommandsBack) {
  TestPort port(1);
  TestClient& client = port.Connect();
  client.Call({"SET", "big", std::string(100'000, 'x')});
  client.stuck = true;
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += Encode({"GET", "big"});
  client.Send(bytes);
  EXPECT_TRUE(client.session().waiting());
  EXPECT_LT(client.session().output().size(), kOutputPauseBytes + kBatchCommandsMax * 110'000);
  EXPECT_GT(client.InputBytes(), 0u);
}

TEST(Session, LargeRepliesMakeBatchesSmallAndSmallOnesLargeAgain) {
  constexpr size_t kValueBytes = kOutputPauseBytes * 5 / 4;
  for (const size_t shard : {0u, 1u}) {
    TestPort port(2);
    TestClient& client = port.Connect(0);
    const std::string key = port.KeyOn(shard), small = port.KeyOn(shard, 1);
    WarmUp(client, small);
    port.Connect(shard).Call({"SET", key, std::string(kValueBytes, 'x')});
    std::string many;
    for (int i = 0; i < 100; ++i) many += Encode({"GET", key});
    // A session that has yet to show what it asks for.
    TestClient& stranger = port.Connect(0);
    stranger.stuck = true;
    stranger.Send(many);
    EXPECT_LE(stranger.session().output_bytes(), 2 * kBatchCommandsFirst * kValueBytes);
    stranger.stuck = false;
    EXPECT_EQ(SendAll(stranger, "").size() / kValueBytes, 100u);
    EXPECT_EQ(stranger.session().batch_commands_max(), 1u);
    // One that has asked for little so far.
    EXPECT_EQ(SendAll(client, many + many).size() / kValueBytes, 200u);
    client.Call({"GET", small});
    EXPECT_LT(client.session().batch_commands_max(), kBatchCommandsMax);
    WarmUp(client, small);
  }
}

TEST(Session, MemoryOfLargeRepliesIsGivenBack) {
  TestPort port(1);
  TestClient& client = port.Connect();
  client.Call({"SET", "a", std::string(2 * grid::kEffectsBytesKeptMax, 'x')});
  EXPECT_EQ(client.Call({"GET", "a"}).size() / grid::kEffectsBytesKeptMax, 2u);
  EXPECT_LE(port.loops[0]->effects_capacity_bytes(), grid::kEffectsBytesKeptMax);
}

TEST(Session, MemoryLimitRefusesWhatGrows) {
  TestPort port(1);
  TestClient& client = port.Connect();
  client.Call({"SET", "a", std::string(1000, 'x')});
  client.Call({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(client.Call({"SET", "b", "1"}),
            "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  EXPECT_EQ(client.Call({"STRLEN", "a"}), ":1000\r\n");
  EXPECT_EQ(client.Call({"DEL", "a"}), ":1\r\n");
}

TEST(Session, ShutdownIsPassedOn) {
  TestPort port(1);
  EXPECT_EQ(port.Connect().Call({"SHUTDOWN", "NOSAVE"}), "");
  EXPECT_TRUE(port.services.shutdown_requested);
}

TEST(Session, KilledClientIsClosed) {
  TestPort port(2);
  TestClient& victim = port.Connect(1);
  TestClient& killer = port.Connect(0);
  const std::string id = std::to_string(victim.session().info().id);
  EXPECT_EQ(killer.Call({"CLIENT", "KILL", "ID", id}), ":1\r\n");
  EXPECT_TRUE(victim.closed());
  EXPECT_EQ(killer.Call({"CLIENT", "KILL", "ID", "12345"}), ":0\r\n");
}

TEST(Session, InfoCountsEntitiesOfAllShards) {
  TestPort port(2, HostCatalog());
  for (int i = 0; i < 10; ++i) port.CreateEntity("host:" + std::to_string(i));
  const std::string info = port.Connect().Call({"INFO"});
  EXPECT_THAT(info, HasSubstr("\r\n# Bettong\r\n"));
  EXPECT_THAT(info, HasSubstr("\r\nentities:10\r\n"));
  EXPECT_THAT(info, HasSubstr("\r\ndb0:keys=10,expires=0,avg_ttl=0\r\n"));
}

}  // namespace
}  // namespace bettong::protocol
