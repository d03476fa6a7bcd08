// A source's outstanding count is zero when, and only when, nothing that its events caused is left:
// on whatever shard, through chains of events and the entries of views.
#include <gtest/gtest.h>

#include <algorithm>

#include "grid/runtime/node_testing.h"

namespace bettong::grid {
namespace {

// "hop N": the event goes on, to another key, N times.
std::vector<CountingHost::Emission> Hop(const Loan& loan, int64_t) {
  if (loan.kind != TurnKind::kEvent) return {};
  std::string script(loan.event->Bytes(1));
  if (!script.starts_with("hop ")) return {};
  int left = std::stoi(script.substr(4));
  if (left == 0) return {{kCountedOut, "end"}};
  std::string key = "h" + std::to_string((std::stoi(std::string(loan.row->key().substr(1))) + 1));
  return {{kCountedEvents, key + " hop " + std::to_string(left - 1)}};
}

class CreditTest : public ::testing::TestWithParam<bool> {
 protected:
  CreditTest() : node_({.shards = 3, .inline_hosts = GetParam(), .observer = Hop}) {
    node_.Start();
  }
  int64_t Outstanding(size_t home, const TestSource& source) {
    return node_.On(home, [&](ShardLoop& shard) { return shard.Outstanding(source.ref()); });
  }
  // Entries of a stream's view.
  uint64_t ViewEntries(const std::string& stream) {
    TestConnection connection(node_, 0);
    std::string entries = connection.Do("XRANGE " + stream);
    connection.Close();
    return entries.empty() ? 0 : static_cast<uint64_t>(std::ranges::count(entries, '='));
  }

  TestNode node_;
};

TEST_P(CreditTest, AreBackWhenEveryHopOfEveryChainIsDone) {
  constexpr int kChains = 20, kHops = 25, kFeeds = 4;
  TestSource first(node_, 0), second(node_, 1);
  for (int feed = 0; feed < kFeeds; ++feed) {
    for (TestSource* source : {&first, &second}) {
      std::vector<std::pair<std::string, std::string>> events;
      for (int chain = 0; chain < kChains; ++chain)
        events.emplace_back("h" + std::to_string(chain), "hop " + std::to_string(kHops));
      source->Feed(std::move(events));
    }
  }
  first.WaitUntilDone();
  second.WaitUntilDone();
  // Done is done: nothing comes after it.
  EXPECT_EQ(node_.events(), 2u * kFeeds * kChains * (kHops + 1));
  EXPECT_EQ(Outstanding(0, first), 0);
  EXPECT_EQ(Outstanding(1, second), 0);
  EXPECT_EQ(ViewEntries("out"), 2u * kFeeds * kChains);
  EXPECT_EQ(ViewEntries("events"), 2u * kFeeds * kChains * kHops);
}

TEST_P(CreditTest, OfOneSourceDoNotWaitForAnother) {
  TestSource busy(node_, 0), idle(node_, 0);
  busy.Feed({{"h1", "hop 300"}});
  idle.Feed({{"x", "plain"}});
  idle.WaitUntilDone();
  busy.WaitUntilDone();
  EXPECT_EQ(Outstanding(0, busy), 0);
  EXPECT_EQ(Outstanding(0, idle), 0);
}

TEST_P(CreditTest, ASourcesNumberIsFreeOnlyWhenNothingCanReportToIt) {
  auto source = std::make_unique<TestSource>(node_, 0);
  SourceRef ref = source->ref();
  std::vector<SourceRef> next;
  // Removed in the middle of its events, on the home's thread so that none is complete.
  node_.On(0, [&](ShardLoop& shard) {
    const Credit two{ref, 2};
    shard.SendCredits({&two, 1});
    shard.RemoveSource(ref);
    next.push_back(shard.AddSource(nullptr));
    Credit credit{ref, -1};
    shard.SendCredits({&credit, 1});
    next.push_back(shard.AddSource(nullptr));
    shard.SendCredits({&credit, 1});
    next.push_back(shard.AddSource(nullptr));
  });
  EXPECT_NE(next[0], ref);
  EXPECT_NE(next[1], ref);
  EXPECT_EQ(next[2], ref);
}

// Dead letters of the shard's surroundings are consequences, too.
TEST_P(CreditTest, CoverWhatTheSurroundingsEmit) {
  TestSource source(node_, 1);
  StreamId dead_letters = node_.catalog()->dead_letters;
  for (int i = 0; i < 50; ++i) {
    node_.Post(static_cast<size_t>(i % 3), [&, i](ShardLoop& shard) {
      std::vector<ViewEntry> entries;
      entries.push_back({dead_letters, "\"" + std::to_string(i) + "\"", source.ref()});
      shard.Emit(std::move(entries));
    });
  }
  for (size_t i = 0; i < 3; ++i) node_.On(i, [](ShardLoop&) {});
  source.Feed({{"a", "x"}});  // the count is looked at when it changes
  source.WaitUntilDone();
  EXPECT_EQ(Outstanding(1, source), 0);
  EXPECT_EQ(ViewEntries("bettong:dead-letters"), 50u);
}

INSTANTIATE_TEST_SUITE_P(Hosts, CreditTest, ::testing::Bool(),
                         [](const auto& host) { return host.param ? "Inline" : "Lane"; });

}  // namespace
}  // namespace bettong::grid
