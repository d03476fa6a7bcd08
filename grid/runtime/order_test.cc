// What keeps its order when shards send each other events and commands: everything for one key from
// one sender, and the replies of one connection about one key. With a lane, and with hosts inline.
#include <gtest/gtest.h>

#include <map>

#include "grid/runtime/node_testing.h"

namespace bettong::grid {
namespace {

class OrderTest : public ::testing::TestWithParam<bool> {
 protected:
  TestNodeOptions Options() { return TestNodeOptions{.inline_hosts = GetParam()}; }
};

// Checks, on whatever threads the hosts run, that scripts "SENDER NUMBER" come to each key in the
// order of their numbers.
class OrderChecker {
 public:
  CountingHost::Observer observer() {
    return [this](const Loan& loan, int64_t) {
      Check(loan);
      return std::vector<CountingHost::Emission>();
    };
  }
  size_t seen() const { return seen_; }
  std::string first_error() const { return first_error_; }

 private:
  void Check(const Loan& loan) {
    if (loan.kind != TurnKind::kEvent) return;
    std::string script(loan.event->Bytes(1));
    size_t space = script.find(' ');
    int number = std::stoi(script.substr(space));
    std::lock_guard lock(mutex_);
    ++seen_;
    int& next = next_[{std::string(loan.row->key()), script.substr(0, space)}];
    if (number != next && first_error_.empty())
      first_error_ =
          std::string(loan.row->key()) + ": " + script + " instead of " + std::to_string(next);
    next = number + 1;
  }

  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, int> next_;
  size_t seen_ = 0;
  std::string first_error_;
};

TEST_P(OrderTest, EventsOfOneSenderForOneKeyKeepTheirOrder) {
  constexpr int kKeys = 12, kRounds = 60, kPiece = 5;
  OrderChecker checker;
  TestNodeOptions options = Options();
  options.observer = checker.observer();
  TestNode node(options);
  node.Start();
  std::vector<std::unique_ptr<TestSource>> sources;
  std::vector<std::unique_ptr<TestConnection>> connections;
  for (size_t home = 0; home < node.shard_count(); ++home) {
    sources.push_back(std::make_unique<TestSource>(node, home));
    connections.push_back(std::make_unique<TestConnection>(node, home));
  }
  size_t commands = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (size_t home = 0; home < sources.size(); ++home) {
      std::vector<std::pair<std::string, std::string>> events;
      std::vector<std::string> lines;
      for (int i = 0; i < kPiece; ++i) {
        for (int key = 0; key < kKeys; ++key) {
          events.emplace_back("k" + std::to_string(key), "from-" + std::to_string(home) + " " +
                                                             std::to_string(round * kPiece + i));
        }
      }
      sources[home]->Feed(std::move(events));
      // Commands that wait for lent keys, so that events have to wait behind them.
      lines.push_back("FSET counter:k" + std::to_string(round % kKeys) + " note parked");
      connections[home]->Ask(lines);
    }
    ++commands;
  }
  for (auto& source : sources) source->WaitUntilDone();
  for (auto& connection : connections) connection->WaitFor(commands);
  EXPECT_EQ(checker.first_error(), "");
  EXPECT_EQ(checker.seen(), sources.size() * kRounds * kPiece * kKeys);
  for (int key = 0; key < kKeys; ++key) {
    EXPECT_EQ(node.Field("k" + std::to_string(key)),
              std::to_string(sources.size() * kRounds * kPiece));
  }
  for (size_t home = 0; home < sources.size(); ++home)
    EXPECT_TRUE(node.On(home, [](ShardLoop& shard) { return shard.Idle(); }));
}

TEST_P(OrderTest, AConnectionReadsItsOwnWritesWhereverTheKeysLive) {
  constexpr int kKeys = 8, kRounds = 100;
  TestNode node(Options());
  node.Start();
  TestConnection connection(node, 0);
  std::vector<std::string> expected;
  std::vector<int> key_of;
  for (int round = 1; round <= kRounds; ++round) {
    std::vector<std::string> lines;
    for (int key = 0; key < kKeys; ++key) {
      std::string name = "counter:k" + std::to_string(key);
      lines.push_back("CALL " + name + " add x");
      expected.push_back(std::to_string(round));
      lines.push_back("FIELD " + name + " count");  // reads the committed row if it may
      expected.push_back(std::to_string(round));
      key_of.insert(key_of.end(), 2, key);
    }
    ASSERT_EQ(connection.Ask(lines), expected.size() - lines.size() + 1);
  }
  auto replies = connection.WaitFor(expected.size());
  ASSERT_EQ(replies.size(), expected.size());
  std::map<int, uint64_t> last;
  for (const auto& [sequence, reply] : replies) {
    EXPECT_EQ(reply, expected[sequence - 1]) << "command " << sequence;
    uint64_t& before = last[key_of[sequence - 1]];
    EXPECT_GT(sequence, before) << "replies about one key come in order, each once";
    before = sequence;
  }
  // The keys lie on both shards, or this would not say much.
  size_t own = 0;
  for (int key = 0; key < kKeys; ++key)
    own += node.OwnerOf("k" + std::to_string(key)) == ShardId(0);
  EXPECT_GT(own, 0u);
  EXPECT_LT(own, static_cast<size_t>(kKeys));
}

INSTANTIATE_TEST_SUITE_P(Hosts, OrderTest, ::testing::Bool(),
                         [](const auto& host) { return host.param ? "Inline" : "Lane"; });

// A host that stands still until it is told to go on.
TEST(ReplyTest, AReplyForAConnectionThatHasGoneReachesNoOther) {
  Signal reached, go_on;
  TestNode node({.observer = [&](const Loan& loan, int64_t) {
    if (loan.kind == TurnKind::kCall) {
      reached.Raise();
      go_on.Wait();
    }
    return std::vector<CountingHost::Emission>();
  }});
  node.Start();
  auto gone = std::make_unique<TestConnection>(node, 0);
  gone->Ask({"CALL counter:a add x", "CALL counter:b add x", "CALL counter:c add x"});
  reached.Wait();
  gone->Close();
  gone.reset();
  // It may well get the number of the one that has gone.
  TestConnection next(node, 0);
  go_on.Raise();
  EXPECT_EQ(next.Do("CALL counter:a add x"), "2");
  EXPECT_EQ(next.Do("CALL counter:b add x"), "2");
  EXPECT_EQ(next.Do("CALL counter:c add x"), "2");
  auto replies = next.WaitFor(3);
  EXPECT_EQ(replies.size(), 3u);
}

}  // namespace
}  // namespace bettong::grid
