// Crashes at every operation, power failures and killed processes, over many lives.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/simulated_disk.h"
#include "wal/node_testing.h"
#include "wal/seeds_testing.h"

namespace bettong::wal {
namespace {

// Everything from the n-th operation on fails: the process is gone.
SimulatedDisk::Hook DieAt(uint64_t n) {
  return [n](const SimulatedDisk::Call& call) {
    return call.number >= n ? absl::AbortedError("crashed here") : absl::OkStatus();
  };
}

void EndLife(SimulatedDisk& disk, TestNode& node, std::mt19937_64& random) {
  node.Stop();
  disk.set_hook(nullptr);
  if (random() % 3 == 0) {
    disk.Kill();
  } else {
    disk.Crash();
  }
}

// Runs until something fails, or `steps` are done.
absl::Status Live(TestNode& node, uint32_t shards, uint64_t steps) {
  if (absl::Status status = node.Start(shards); !status.ok()) return status;
  for (uint64_t i = 0; i < steps; ++i) {
    if (absl::Status status = node.Step(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void ExpectGoodLife(SimulatedDisk& disk, TestNode& node, uint32_t shards, uint64_t steps) {
  const absl::Status status = Live(node, shards, steps);
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_EQ(node.fault(), "");
  node.Stop();
  disk.Kill();
}

TEST(Recovery, CrashAtEveryOperationLosesNothingAcknowledged) {
  constexpr uint64_t kSteps = 25;
  for (uint64_t seed = 1; seed <= Seeds(3); ++seed) {
    uint64_t operations = 0;
    {
      SimulatedDisk disk(seed);
      TestNode node(disk, seed);
      ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 2, kSteps)) << seed;
      ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 1, kSteps)) << seed;
      operations = disk.operations();
    }
    for (uint64_t n = 1; n <= operations; ++n) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", crash at operation " << n);
      SimulatedDisk disk(seed);
      TestNode node(disk, seed);
      std::mt19937_64 random(seed * 1000 + n);
      disk.set_hook(DieAt(n));
      absl::Status status = Live(node, 2, kSteps);
      if (status.ok()) {
        node.Stop();
        disk.Kill();
        status = Live(node, 1, kSteps);
      }
      ASSERT_FALSE(status.ok());
      ASSERT_EQ(node.fault(), "");
      EndLife(disk, node, random);
      ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 1 + n % 3, 5));
      ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 1 + seed % 3, 0));
    }
  }
}

TEST(Recovery, ManyLivesWithCrashesReshardingAndTrimmingKeepExactlyWhatCounts) {
  uint64_t commits = 0, notes = 0;
  for (uint64_t seed = 1; seed <= Seeds(400); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedDisk disk(seed);
    TestNode node(disk, seed);
    std::mt19937_64 random(seed + 7);
    for (int life = 0; life < 12; ++life) {
      const uint32_t shards = 1 + static_cast<uint32_t>(random() % 3);
      // Half of the crashes come while the node is still starting.
      const uint64_t within = random() % 2 == 0 ? 60 : 400;
      disk.set_hook(DieAt(disk.operations() + 1 + random() % within));
      const absl::Status status = Live(node, shards, 60);
      ASSERT_TRUE(status.ok() || absl::IsAborted(status)) << life << ": " << status.ToString();
      ASSERT_EQ(node.fault(), "");
      notes += node.notes().size();
      EndLife(disk, node, random);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 2, 20));
    commits += node.commits();
  }
  EXPECT_GT(commits, Seeds(400) * 20);
  EXPECT_GT(notes, 0u) << "no tail was ever torn";
}

}  // namespace
}  // namespace bettong::wal
