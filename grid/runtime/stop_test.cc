// Stopping in the middle of everything, and nodes that live side by side in a process.
#include <gtest/gtest.h>

#include <map>

#include "grid/runtime/node_testing.h"

namespace bettong::grid {
namespace {

std::vector<std::pair<std::string, std::string>> Events(int count) {
  std::vector<std::pair<std::string, std::string>> events;
  for (int i = 0; i < count; ++i)
    events.emplace_back("k" + std::to_string(i % 40), std::string(60, 'n'));
  return events;
}

// A node whose lane stands still in its first turn.
class StopTest : public ::testing::Test {
 protected:
  StopTest() {
    node_ = std::make_unique<TestNode>(TestNodeOptions{.observer = [this](const Loan&, int64_t) {
      reached_.Raise();
      go_on_.Wait();
      return std::vector<CountingHost::Emission>();
    }});
    node_->Start();
    source_ = std::make_unique<TestSource>(*node_, 0);
    connection_ = std::make_unique<TestConnection>(*node_, 1);
  }
  ~StopTest() override { go_on_.Raise(); }

  // Lent events and calls, commands that wait for them, mail between the shards.
  void FillUp() {
    for (int i = 0; i < 10; ++i) {
      source_->Feed(Events(100));
      std::vector<std::string> lines;
      for (int key = 0; key < 40; ++key) {
        std::string name = "counter:k" + std::to_string(key);
        lines.push_back("CALL " + name + " add " + std::string(60, 'n'));
        if (i % 3 == 0) lines.push_back("FSET " + name + " note " + std::string(60, 'w'));
      }
      connection_->Ask(lines);
    }
    reached_.Wait();
    // All has been lent or parked.
    for (int round = 0; round < 2; ++round) {
      for (size_t i = 0; i < node_->shard_count(); ++i) node_->On(i, [](ShardLoop&) {});
    }
  }

  Signal reached_, go_on_;
  std::unique_ptr<TestNode> node_;
  std::unique_ptr<TestSource> source_;
  std::unique_ptr<TestConnection> connection_;
};

TEST_F(StopTest, ShardsStopWithLoansOutAndCommandsParked) {
  FillUp();
  node_->StopShards();
  uint64_t lent = 0;
  for (size_t i = 0; i < node_->shard_count(); ++i)
    lent += node_->shard(i).shard().stats().loans_outstanding;
  EXPECT_GE(lent, 40u);  // each key, at least once
  EXPECT_EQ(connection_->WaitFor(0).size(), 0u);
  go_on_.Raise();  // what the lane still answers, stopped shards do not read
  node_.reset();
}

TEST_F(StopTest, TheLaneStopsBeforeTheShardsWhileTheyStillSend) {
  FillUp();
  Signal stopping;
  std::thread stop([&] {
    stopping.Raise();
    node_->lane().Stop();
  });
  stopping.Wait();
  source_->Feed(Events(500));
  go_on_.Raise();
  stop.join();
  source_->Feed(Events(500));  // nobody takes these any more
  node_->On(0, [](ShardLoop&) {});
  node_->On(1, [](ShardLoop&) {});
  node_->StopShards();
  node_.reset();
}

TEST_F(StopTest, StoppingAgainHasNoEffect) {
  FillUp();
  node_->shard(0).Stop();
  node_->StopShards();
  node_->StopShards();
  go_on_.Raise();
  node_->lane().Stop();
  node_->lane().Stop();
  node_.reset();
}

TEST(LaneTest, WithoutAHostTakesWhatItIsSentAlong) {
  Lane lane([]() -> std::unique_ptr<ComputeHost> { return nullptr; });
  EXPECT_FALSE(lane.WaitUntilReady());
  for (int i = 0; i < 10; ++i) lane.Send(ShardId(0), std::vector<Loan>(100));
  lane.Stop();
  lane.Send(ShardId(0), std::vector<Loan>(100));
}

TEST(LaneTest, TakesBatchesOfManyShardsInTheOrderTheyCome) {
  std::vector<std::string> order;  // the lane's thread only, until it has stopped
  Signal all;
  TestNode node({.shards = 4, .observer = [&](const Loan& loan, int64_t) {
                   order.emplace_back(loan.row->key());
                   if (order.size() == 400) all.Raise();
                   return std::vector<CountingHost::Emission>();
                 }});
  node.Start();
  TestSource source(node, 0);
  for (int round = 0; round < 10; ++round) source.Feed(Events(40));
  all.Wait();
  source.WaitUntilDone();
  node.StopShards();
  node.lane().Stop();
  std::map<std::string, int> times;
  for (const std::string& key : order) ++times[key];
  EXPECT_EQ(times.size(), 40u);
  for (const auto& [key, count] : times) EXPECT_EQ(count, 10) << key;
}

TEST(NodesTest, TwoInOneProcessDoNotKnowOfEachOther) {
  TestNode small({.shards = 1, .prefix = "counter", .hash_seed = 1});
  TestNode large({.shards = 3, .prefix = "tally", .hash_seed = 99});
  small.Start();
  large.Start();
  TestSource small_source(small, 0), large_source(large, 2);
  TestConnection small_client(small, 0), large_client(large, 1);
  // The same keys, the same text, at the same time.
  std::thread feeder([&] {
    for (int i = 0; i < 20; ++i) small_source.Feed(Events(40));
  });
  for (int i = 0; i < 30; ++i) large_source.Feed(Events(40));
  feeder.join();
  small_client.Ask({"SET shared small", "CALL counter:k0 add x"});
  large_client.Ask({"SET shared large", "CALL tally:k0 add x"});
  small_source.WaitUntilDone();
  large_source.WaitUntilDone();
  small_client.WaitFor(2);
  large_client.WaitFor(2);
  EXPECT_EQ(small.events(), 800u);
  EXPECT_EQ(large.events(), 1200u);
  EXPECT_EQ(small.Field("k0"), "21");
  EXPECT_EQ(large.Field("k0"), "31");
  EXPECT_EQ(small_client.Do("GET shared"), "small");
  EXPECT_EQ(large_client.Do("GET shared"), "large");
  // One ends, and the other does not notice.
  small.StopShards();
  small.lane().Stop();
  large_source.Feed(Events(40));
  large_source.WaitUntilDone();
  EXPECT_EQ(large.Field("k0"), "32");
  EXPECT_EQ(large_client.Do("TYPE counter:k0"), "none");
}

TEST(NodesTest, ManyComeAndGo) {
  for (int i = 0; i < 20; ++i) {
    TestNode node({.shards = 2, .hash_seed = static_cast<uint64_t>(i)});
    node.Start();
    TestSource source(node, 1);
    source.Feed(Events(80));
    source.WaitUntilDone();
    EXPECT_EQ(node.events(), 80u);
  }
}

}  // namespace
}  // namespace bettong::grid
