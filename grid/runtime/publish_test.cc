// What subscribers are told: outputs on every shard, in order; and what happens without traffic.
#include <gtest/gtest.h>

#include <atomic>

#include "grid/key_turn.h"
#include "grid/runtime/node_testing.h"

namespace bettong::grid {
namespace {

class TestSubscribers : public Subscribers {
 public:
  size_t Publish(std::string_view channel, std::string_view payload) override {
    std::lock_guard lock(mutex_);
    messages_.push_back(std::string(channel) + " " + std::string(payload));
    return 1;
  }
  void Flush() override {
    std::lock_guard lock(mutex_);
    ++flushes_;
    changed_.notify_all();
  }
  size_t count() const override { return 1; }

  std::vector<std::string> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return messages_.size() >= count; });
    return messages_;
  }
  int flushes() {
    std::lock_guard lock(mutex_);
    return flushes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> messages_;
  int flushes_ = 0;
};

class PublishTest : public ::testing::Test {
 protected:
  void Start(TestNodeOptions options) {
    options.shards = 3;
    node_ = std::make_unique<TestNode>(std::move(options));
    for (size_t i = 0; i < node_->shard_count(); ++i) {
      auto subscribers = std::make_unique<TestSubscribers>();
      subscribers_.push_back(subscribers.get());
      node_->shard(i).SetSubscribers(std::move(subscribers));
    }
    node_->Start();
  }

  std::unique_ptr<TestNode> node_;
  std::vector<TestSubscribers*> subscribers_;
};

TEST_F(PublishTest, OutputsOfOneKeyReachEveryShardOnceAndInOrder) {
  constexpr int kEvents = 200;
  Start({.observer = [](const Loan&, int64_t count) {
    return std::vector<CountingHost::Emission>{{kCountedOut, std::to_string(count)}};
  }});
  TestSource source(*node_, 1);
  std::vector<std::string> expected;
  for (int i = 1; i <= kEvents; ++i) {
    source.Feed({{"k", "x"}});
    expected.push_back("out " + std::to_string(i));
  }
  for (TestSubscribers* subscribers : subscribers_)
    EXPECT_EQ(subscribers->WaitFor(kEvents), expected);
  source.WaitUntilDone();
}

TEST_F(PublishTest, OutputsOfOneBatchAreOneMailToEachShard) {
  constexpr size_t kOutputs = 100;
  Start({});
  node_->On(0, [](ShardLoop& shard) {
    std::vector<ViewEntry> entries(kOutputs);
    for (ViewEntry& entry : entries) {
      entry = {kCountedOut, "1", Origin{.source = {shard.id(), SourceId(0)}}};
    }
    shard.Emit(std::move(entries));
    return 0;
  });
  for (size_t shard : {1u, 2u}) {
    EXPECT_EQ(subscribers_[shard]->WaitFor(kOutputs).size(), kOutputs);
    // Mail is in order: what the outputs' mail did is done.
    node_->On(shard, [](ShardLoop&) { return 0; });
    EXPECT_EQ(subscribers_[shard]->flushes(), 1);
  }
}

// More at one moment than a slice takes, on a clock that only this test moves.
TEST_F(PublishTest, KeysExpireWithoutTraffic) {
  constexpr size_t kKeys = 1000;
  std::atomic<TimeMs> now{1'000'000};
  Start({.notify_classes = kNotifyKeyevent | kNotifyExpired, .clock = [&] { return now.load(); }});
  TestConnection connection(*node_, 0);
  std::vector<std::string> lines;
  for (size_t i = 0; i < kKeys; ++i)
    lines.push_back("SET k" + std::to_string(i) + " v " + std::to_string(now + 1 + i % 3));
  connection.Ask(lines);
  connection.WaitFor(kKeys);
  now += 3;
  for (TestSubscribers* subscribers : subscribers_) {
    std::vector<std::string> messages = subscribers->WaitFor(kKeys);
    EXPECT_EQ(messages.size(), kKeys);
    EXPECT_TRUE(messages[0].starts_with("__keyevent@0__:expired k")) << messages[0];
  }
  for (size_t i = 0; i < node_->shard_count(); ++i)
    EXPECT_EQ(node_->On(i, [](ShardLoop& shard) { return shard.shard().key_count(); }), 0u);
}

}  // namespace
}  // namespace bettong::grid
