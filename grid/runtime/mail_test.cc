// Mail: from any thread, once, in order per sender, on the receiver's thread.
#include "grid/runtime/mail.h"

#include <gtest/gtest.h>

#include <atomic>

#include "grid/runtime/node_testing.h"

namespace bettong::grid {
namespace {

struct Letter {
  int number = 0;
  Letter* next_ = nullptr;
};

TEST(PostBoxTest, GivesTheOldestFirstAndKeepsWhatNobodyTook) {
  PostBox<Letter> box;
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(box.TakeAll(), nullptr);
  for (int i = 0; i < 5; ++i) box.Push(std::make_unique<Letter>(Letter{i}));
  EXPECT_FALSE(box.empty());
  int expected = 0;
  for (Letter* letter = box.TakeAll(); letter != nullptr; ++expected) {
    std::unique_ptr<Letter> now(std::exchange(letter, PostBox<Letter>::Next(letter)));
    EXPECT_EQ(now->number, expected);
  }
  EXPECT_EQ(expected, 5);
  EXPECT_TRUE(box.empty());
  box.Push(std::make_unique<Letter>());  // goes with the box
}

TEST(MailTest, FromManyThreadsArrivesOnceAndInOrderPerSender) {
  constexpr int kSenders = 6, kMails = 400, kAll = kSenders * kMails;
  TestNode node({.shards = 2, .inline_hosts = true});
  node.Start();
  struct Receiver {
    std::thread::id thread;
    std::vector<int> next = std::vector<int>(kSenders);
    int wrong = 0;
    int got = 0;
    Signal all;
  };
  Receiver receivers[2];
  for (size_t i = 0; i < 2; ++i) {
    receivers[i].thread = node.On(i, [](ShardLoop&) { return std::this_thread::get_id(); });
  }
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&, sender] {
      for (int i = 0; i < kMails; ++i) {
        for (size_t to = 0; to < 2; ++to) {
          node.Post(to, [&receiver = receivers[to], sender, i](ShardLoop&) {
            auto at = static_cast<size_t>(sender);
            receiver.wrong += receiver.next[at]++ != i;
            receiver.wrong += std::this_thread::get_id() != receiver.thread;
            if (++receiver.got == kAll) receiver.all.Raise();
          });
        }
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  for (Receiver& receiver : receivers) {
    receiver.all.Wait();
    EXPECT_EQ(receiver.wrong, 0);
    EXPECT_EQ(receiver.got, kAll);
  }
}

TEST(MailTest, ThatCameBeforeTheShardRanIsDeliveredWhenItDoes) {
  TestNode node({.inline_hosts = true});
  std::vector<int> order;
  Signal last;
  for (int i = 0; i < 3; ++i) {
    node.Post(1, [&, i](ShardLoop&) {
      order.push_back(i);
      if (i == 2) last.Raise();
    });
  }
  node.Start();
  last.Wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(MailTest, MailSentWhileMailIsDeliveredComesAfterIt) {
  TestNode node({.shards = 2, .inline_hosts = true});
  node.Start();
  // Two shards throw a ball a thousand times.
  Signal caught;
  std::function<void(ShardLoop&, int)> play = [&](ShardLoop& shard, int left) {
    if (left == 0) return caught.Raise();
    ShardId other(shard.id() == ShardId(0) ? 1 : 0);
    shard.Post(other, std::make_unique<FunctionMail>(
                          [&play, left](ShardLoop& at) { play(at, left - 1); }));
  };
  node.Post(0, [&](ShardLoop& shard) { play(shard, 1000); });
  caught.Wait();
}

TEST(MailTest, ThatAStoppedShardDidNotReadGoesWithIt) {
  auto kept = std::make_shared<int>(1);
  {
    TestNode node({.inline_hosts = true});
    node.Start();
    node.StopShards();
    for (int i = 0; i < 10; ++i) node.Post(1, [kept](ShardLoop&) { FAIL() << "delivered"; });
    EXPECT_GT(kept.use_count(), 1);
  }
  EXPECT_EQ(kept.use_count(), 1);
}

}  // namespace
}  // namespace bettong::grid
