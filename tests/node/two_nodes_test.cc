// Two whole nodes in one process, configured differently, over real sockets: what is done to one,
// the other does not notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include "grid/catalog.h"
#include "server/node.h"
#include "tests/node/client_testing.h"

namespace bettong::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kAnyPort = "127.0.0.1:0";

// A started node without an app.
class TestNode {
 public:
  explicit TestNode(NodeConfig config) {
    config.resp_listen = config.http_listen = kAnyPort;
    config.durability = Durability::kOff;
    auto made = Node::Make(std::move(config), {});
    EXPECT_TRUE(made.ok()) << made.status();
    node_ = *std::move(made);
    absl::Status opened = node_->Open();
    EXPECT_TRUE(opened.ok()) << opened;
    node_->Start();
  }

  Node& operator*() { return *node_; }
  Node* operator->() { return node_.get(); }

  // Of "resp" or "source.NAME", as the ready line tells it.
  std::string AddressOf(const std::string& what) const {
    std::istringstream words(node_->ReadyLine());
    for (std::string word; words >> word;) {
      if (word.starts_with(what + "=")) return word.substr(what.size() + 1);
    }
    ADD_FAILURE() << "no " << what << " in: " << node_->ReadyLine();
    return "";
  }

 private:
  std::unique_ptr<Node> node_;
};

TEST(TwoNodesTest, KeepTheirKeysConnectionsAndSettingsApart) {
  TestNode small({.shards = 1, .notify_keyspace_events = "KEA"});
  TestNode large({.shards = 3, .maxmemory_bytes = 64u << 20, .password = "secret"});
  TestClient at_small(small.AddressOf("resp"));
  TestClient at_large(large.AddressOf("resp"));

  EXPECT_THAT(at_large.Do("GET key"), HasSubstr("-NOAUTH"));
  EXPECT_EQ(at_large.Do("AUTH secret"), "OK");
  EXPECT_THAT(at_small.Do("AUTH secret"), HasSubstr("-ERR"));

  for (int i = 0; i < 200; ++i) {
    std::string key = "key" + std::to_string(i);
    at_small.Send("SET " + key + " small" + std::to_string(i));
    at_large.Send("SET " + key + " large" + std::to_string(i));
    if (i % 2 == 0) at_large.Send("HSET hash" + std::to_string(i) + " field value");
  }
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(at_small.Reply(), "OK");
    EXPECT_EQ(at_large.Reply(), "OK");
    if (i % 2 == 0) {
      EXPECT_EQ(at_large.Reply(), "1");
    }
  }
  for (int i = 0; i < 200; ++i) {
    std::string number = std::to_string(i);
    EXPECT_EQ(at_small.Do("GET key" + number), "small" + number);
    EXPECT_EQ(at_large.Do("GET key" + number), "large" + number);
  }
  EXPECT_EQ(at_small.Do("DBSIZE"), "200");
  EXPECT_EQ(at_large.Do("DBSIZE"), "300");

  EXPECT_EQ(at_small.Do("CONFIG GET maxmemory"), "[maxmemory 0]");
  EXPECT_EQ(at_large.Do("CONFIG GET maxmemory"), "[maxmemory 67108864]");
  EXPECT_EQ(at_small.Do("CONFIG SET maxmemory 1"), "OK");
  EXPECT_THAT(at_small.Do("SET more memory"), HasSubstr("-OOM"));
  EXPECT_EQ(at_large.Do("SET more memory"), "OK");
  EXPECT_EQ(at_large.Do("CONFIG GET maxmemory"), "[maxmemory 67108864]");

  EXPECT_EQ(at_small.Do("FLUSHALL"), "OK");
  EXPECT_EQ(at_small.Do("DBSIZE"), "0");
  EXPECT_EQ(at_large.Do("DBSIZE"), "301");
}

TEST(TwoNodesTest, PublishToTheirOwnSubscribersOnly) {
  TestNode quiet({.shards = 2});
  TestNode telling({.shards = 2, .notify_keyspace_events = "KEA"});
  TestClient hears_quiet(quiet.AddressOf("resp")), hears_telling(telling.AddressOf("resp"));
  for (TestClient* client : {&hears_quiet, &hears_telling})
    EXPECT_THAT(client->Do("PSUBSCRIBE *"), HasSubstr("psubscribe"));
  TestClient at_quiet(quiet.AddressOf("resp")), at_telling(telling.AddressOf("resp"));
  EXPECT_EQ(at_quiet.Do("SET key 1"), "OK");
  EXPECT_EQ(at_telling.Do("SET key 1"), "OK");
  EXPECT_EQ(at_telling.Do("PUBLISH channel telling"), "1");
  EXPECT_EQ(at_quiet.Do("PUBLISH channel quiet"), "1");
  // The first message of the one without notifications is its own.
  EXPECT_EQ(hears_quiet.Reply(), "[pmessage * channel quiet]");
  EXPECT_THAT(hears_telling.Reply(), HasSubstr("key"));
}

TEST(TwoNodesTest, TakeInAndGiveOutEachByTheirOwnDoors) {
  std::string directory =
      (std::filesystem::temp_directory_path() / "bettong-nodes-XXXXXX").string();
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  auto config = [&](const std::string& name, uint32_t shards) {
    NodeConfig node{.shards = shards};
    const std::string stream(grid::kDeadLetterStream);
    node.sources.push_back({.name = name, .listen = kAnyPort, .stream = stream});
    node.sinks.push_back({.name = name,
                          .kind = ingest::SinkKind::kFile,
                          .stream = stream,
                          .path = directory + "/" + name});
    return node;
  };
  TestNode left(config("left", 2));
  TestNode right(config("right", 3));
  // What is no JSON becomes a dead letter of the node that read it.
  auto feed = [](TestNode& node, const std::string& name, std::string_view lines) {
    TestClient client(node.AddressOf("source." + name));
    client.Write(lines);
    client.Finish();  // the node closes when it is done with what was sent here
  };
  for (int i = 0; i < 5; ++i) {
    feed(left, "left", "only left\n");
    feed(right, "right", "only right\nand right\n");
  }
  left->Stop();
  // One has ended; the other still takes events and answers.
  TestClient at_right(right.AddressOf("resp"));
  EXPECT_EQ(at_right.Do("XLEN bettong:dead-letters"), "10");
  feed(right, "right", "last right\n");
  EXPECT_EQ(at_right.Do("XLEN bettong:dead-letters"), "11");
  right->Stop();
  for (std::string name : {"left", "right"}) {
    std::ifstream file(directory + "/" + name);
    std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(std::ranges::count(text, '\n'), name == "left" ? 5 : 11) << text;
    EXPECT_THAT(text, HasSubstr("only " + name));
    EXPECT_THAT(text, Not(HasSubstr(name == "left" ? "right" : "left"))) << name;
  }
  std::filesystem::remove_all(directory);
}

TEST(TwoNodesTest, ShutDownOneByOne) {
  TestNode first({.shards = 2}), second({.shards = 1});
  std::promise<void> first_asked;
  std::atomic<bool> second_asked{false};
  first->OnShutdownRequest([&] { first_asked.set_value(); });
  second->OnShutdownRequest([&] { second_asked = true; });
  TestClient at_second(second.AddressOf("resp"));
  EXPECT_EQ(at_second.Do("SET key kept"), "OK");
  TestClient(first.AddressOf("resp")).Send("SHUTDOWN");
  first_asked.get_future().wait();
  first->Stop();
  EXPECT_FALSE(second_asked);
  EXPECT_EQ(at_second.Do("GET key"), "kept");
  second->Stop();
  second->Stop();
}

}  // namespace
}  // namespace bettong::server
