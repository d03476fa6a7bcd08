// What a shard records of its turns is all that made its state: another shard that applies the
// changes, and runs nothing, holds the same.
#include <gtest/gtest.h>

#include <algorithm>

#include "compute/random_traffic_testing.h"
#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"
#include "grid/slab.h"

namespace bettong::compute {
namespace {

using grid::Shard;
using grid::TestShard;

void ExpectSame(const Shard& live, const Shard& replayed) {
  EXPECT_EQ(replayed.Digest(), live.Digest());
  EXPECT_EQ(replayed.key_count(), live.key_count());
  EXPECT_EQ(replayed.entity_count(), live.entity_count());
  EXPECT_EQ(replayed.keys_with_deadline(), live.keys_with_deadline());
}

// Applies what another shard has recorded, from where it left off.
class Follower {
 public:
  explicit Follower(const ScriptedHost& host, size_t from = 0)
      : shard_(host.catalog(), nullptr), from_(from), applied_(from) {}

  void Follow(const TestShard& leader) {
    for (; applied_ < leader.sections.size(); ++applied_)
      ASSERT_EQ(shard_.shard().Apply(leader.sections[applied_].view(), from_ == 0),
                absl::OkStatus())
          << "section " << applied_;
  }
  const Shard& shard() { return shard_.shard(); }

 private:
  TestShard shard_;
  const size_t from_;
  size_t applied_;
};

class ShardReplayProperty : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ShardReplayProperty, AFollowerHoldsWhatTheLeaderHolds) {
  ScriptedHost host;
  TestShard leader(host.catalog(), host.get(), {.record_changes = true, .notify_classes = ~0u});
  RandomTraffic traffic(GetParam(), host, leader);
  Follower follower(host);
  const size_t empty_bytes = leader.shard().value_bytes();
  size_t entities = 0, others = 0;  // at most
  for (int step = 0; step < 2000; ++step) {
    std::string done = traffic.Step();
    ASSERT_NO_FATAL_FAILURE(follower.Follow(leader)) << "step " << step << ": " << done;
    ExpectSame(leader.shard(), follower.shard());
    ASSERT_FALSE(HasFailure()) << "step " << step << ": " << done;
    entities = std::max(entities, leader.shard().entity_count());
    others = std::max(others, leader.shard().key_count() - leader.shard().entity_count());
    if (step % 500 != 499) continue;
    Follower late(host);  // and one that comes late gets all at once
    ASSERT_NO_FATAL_FAILURE(late.Follow(leader)) << "step " << step;
    ExpectSame(leader.shard(), late.shard());
  }
  const grid::ShardStats& stats = leader.shard().stats();
  EXPECT_GT(entities, 20u);
  EXPECT_GT(others, 15u);
  EXPECT_GT(stats.expired_keys, 50u);
  EXPECT_GT(stats.turns_failed, 50u);
  EXPECT_GT(stats.events, 1000u);

  leader.hold = false;
  leader.Drain();
  leader.Settle();
  follower.Follow(leader);
  ExpectSame(leader.shard(), follower.shard());
  leader.Do("FLUSHALL");
  follower.Follow(leader);
  EXPECT_EQ(leader.batches_out, 0u);
  EXPECT_EQ(leader.shard().stats().loans_outstanding, 0u);
  EXPECT_EQ(leader.shard().key_count(), 0u);
  EXPECT_EQ(leader.shard().keys_with_deadline(), 0u);
  ExpectSame(leader.shard(), follower.shard());
  // The slabs keep their pages; nothing else is left, however the values came and went.
  auto values_bytes = [&](const Shard& shard) {
    return (shard.value_bytes() - empty_bytes) % grid::Slab::kPageBytes;
  };
  EXPECT_EQ(values_bytes(leader.shard()), 0u);
  EXPECT_EQ(values_bytes(follower.shard()), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ShardReplayProperty, ::testing::Range(1u, 9u));

// The same of entities with containers, whenever none is lent; and what a round of the checkpoint
// and all that follows it hold is everything, though entities are lent while it goes on.
class ContainerReplayProperty : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ContainerReplayProperty, AFollowerHoldsTheSameFromTheStartOrFromARound) {
  ScriptedHost host;
  TestShard leader(host.catalog(), host.get(), {.record_changes = true});
  RandomTraffic traffic(GetParam(), host, leader, /*containers=*/true);
  Follower follower(host);
  const size_t empty_bytes = leader.shard().value_bytes();
  size_t round_begin = 0, rounds = 0, awaited = 0;
  uint64_t container_bytes = 0;  // at most
  for (int part = 0; part < 60; ++part) {
    leader.shard().BeginRound();
    round_begin = leader.sections.size();
    bool written = false, ended = false;
    for (int step = 0; step < 30; ++step) {
      traffic.Step();
      if (!written) written = leader.shard().WriteImages(400);
      if (written && !ended) {
        leader.shard().EndRound();
        ended = true;
        awaited += leader.loans() > 0 || leader.pieces() > 0;
      }
    }
    leader.Drain();
    while (!written) written = leader.shard().WriteImages(400);
    if (!ended) leader.shard().EndRound();
    ++rounds;
    container_bytes = std::max(container_bytes, leader.shard().container_bytes(kWindowed));
    leader.Send({});  // what is recorded is taken
    ASSERT_NO_FATAL_FAILURE(follower.Follow(leader)) << "part " << part;
    ExpectSame(leader.shard(), follower.shard());
    Follower late(host, round_begin);
    ASSERT_NO_FATAL_FAILURE(late.Follow(leader)) << "part " << part;
    ExpectSame(leader.shard(), late.shard());
    ASSERT_FALSE(HasFailure()) << "part " << part;
  }
  EXPECT_EQ(rounds, 60u);
  EXPECT_GT(awaited, 5u);
  EXPECT_GT(leader.shard().stats().events, 1000u);
  EXPECT_GT(container_bytes, 5'000u);
  leader.hold = false;
  leader.Drain();
  leader.Settle();
  // What the turns said of their containers' growth goes with the entities, to the last byte.
  leader.Do("FLUSHALL");
  follower.Follow(leader);
  for (const Shard* shard :
       std::initializer_list<const Shard*>{&leader.shard(), &follower.shard()}) {
    EXPECT_EQ((shard->value_bytes() - empty_bytes) % grid::Slab::kPageBytes, 0u);
    EXPECT_EQ(shard->container_bytes(kWindowed), 0u);
  }
}

// Then windows write no operations, and are undone all the same.
TEST_P(ContainerReplayProperty, WhereNothingIsLoggedTurnsComeToTheSame) {
  ScriptedHost logged_host, host(nullptr, /*logged=*/false);
  TestShard logged(logged_host.catalog(), logged_host.get(), {.record_changes = true});
  TestShard shard(host.catalog(), host.get());
  RandomTraffic of_logged(GetParam(), logged_host, logged, /*containers=*/true);
  RandomTraffic of_shard(GetParam(), host, shard, /*containers=*/true);
  for (int step = 0; step < 1500; ++step) ASSERT_EQ(of_shard.Step(), of_logged.Step());
  shard.Drain();
  logged.Drain();
  EXPECT_EQ(host.log, logged_host.log);
  ExpectSame(shard.shard(), logged.shard());
  EXPECT_EQ(shard.shard().container_bytes(kWindowed), logged.shard().container_bytes(kWindowed));
  EXPECT_GT(shard.shard().stats().turns_failed, 10u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ContainerReplayProperty, ::testing::Range(1u, 9u));

}  // namespace
}  // namespace bettong::compute
