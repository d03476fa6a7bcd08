// Errors of the disk at each place where it is used: nothing is acknowledged after one, and what is
// found afterwards is right.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "wal/node_testing.h"
#include "wal/seeds_testing.h"

namespace bettong::wal {
namespace {

using Operation = SimulatedDisk::Operation;

absl::Status InputOutputError() { return absl::ErrnoToStatus(EIO, "injected"); }
absl::Status DiskFullError() { return absl::ErrnoToStatus(ENOSPC, "injected"); }

// Runs a life; a full disk is no reason to end it. What was done is in `operations`.
absl::Status Live(TestNode& node, uint32_t shards, int steps) {
  if (absl::Status status = node.Start(shards); !status.ok()) return status;
  for (int i = 0; i < steps; ++i) {
    const absl::Status status = node.Step();
    if (!status.ok() && !absl::IsResourceExhausted(status)) return status;
  }
  return absl::OkStatus();
}

void ExpectGoodLife(SimulatedDisk& disk, TestNode& node, uint32_t shards, int steps) {
  const absl::Status status = Live(node, shards, steps);
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_EQ(node.fault(), "");
  node.Stop();
  disk.Kill();
}

// One error at the n-th operation of two lives, for every n.
void InjectAtEveryOperation(const absl::Status& error, uint64_t seeds) {
  constexpr int kSteps = 30;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    uint64_t operations = UINT64_MAX;
    for (uint64_t n = 1; n <= operations; ++n) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", operation " << n);
      SimulatedDisk disk(seed);
      TestNode node(disk, seed);
      std::mt19937_64 random(seed * 1000 + n);
      bool injected = false;
      disk.set_hook([&](const SimulatedDisk::Call& call) {
        injected |= call.number == n;
        return call.number == n ? error : absl::OkStatus();
      });
      absl::Status status = Live(node, 2, kSteps);
      if (status.ok()) {
        node.Stop();
        disk.Kill();
        status = Live(node, 1, kSteps);
      }
      ASSERT_EQ(node.fault(), "");
      if (!injected) {
        operations = disk.operations();
        continue;
      }
      node.Stop();
      if (random() % 2 == 0) {
        disk.Kill();
      } else {
        disk.Crash();
      }
      ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 1 + n % 3, 5));
      // What a failed sync has left in memory only goes at last.
      disk.EvictCleanPages();
      disk.Crash();
      ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 2, 0));
    }
  }
}

TEST(DiskFaults, ErrorAtAnyOperationNeverLeadsToAFalseAnswer) {
  InjectAtEveryOperation(InputOutputError(), Seeds(3));
}

TEST(DiskFaults, FullDiskAtAnyOperationNeverLeadsToAFalseAnswer) {
  InjectAtEveryOperation(DiskFullError(), Seeds(3));
}

TEST(DiskFaults, ManyLivesWithFailingSyncsKeepExactlyWhatCounts) {
  uint64_t failed = 0;
  for (uint64_t seed = 1; seed <= Seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedDisk disk(seed);
    TestNode node(disk, seed);
    std::mt19937_64 random(seed + 7);
    for (int life = 0; life < 10; ++life) {
      uint64_t syncs = 1 + random() % (random() % 2 == 0 ? 12 : 60);
      disk.set_hook([&](const SimulatedDisk::Call& call) {
        if (call.operation != Operation::kSync || --syncs > 0) return absl::OkStatus();
        ++failed;
        return InputOutputError();
      });
      const absl::Status status = Live(node, 1 + static_cast<uint32_t>(random() % 3), 50);
      ASSERT_EQ(node.fault(), "");
      ASSERT_FALSE(status.ok() && syncs == 0);
      disk.set_hook(nullptr);
      node.Stop();
      const uint64_t how = random() % 4;
      if (how == 0) disk.EvictCleanPages();
      if (how == 1) {
        disk.Crash();
      } else {
        disk.Kill();
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 2, 20));
  }
  EXPECT_GT(failed, Seeds(300) * 5);
}

TEST(DiskFaults, DiskThatIsFullForAWhileStopsNothingForGood) {
  for (uint64_t seed = 1; seed <= Seeds(200); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedDisk disk(seed);
    TestNode node(disk, seed);
    std::mt19937_64 random(seed);
    ASSERT_TRUE(node.Start(2).ok());
    uint64_t refused = 0;
    for (int phase = 0; phase < 6; ++phase) {
      // Full for new blocks only, as on a file system that writes in place; or for all writes.
      const bool all = phase % 2 == 1;
      disk.set_capacity_bytes(disk.used_bytes() + random() % TestNode::kSegmentBytes);
      if (all) {
        disk.set_hook([](const SimulatedDisk::Call& call) {
          return call.operation == Operation::kWrite ? DiskFullError() : absl::OkStatus();
        });
      }
      const uint64_t commits = node.commits();
      for (int i = 0; i < 30; ++i) {
        const absl::Status status = node.Step();
        ASSERT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status.ToString();
        if (!status.ok()) ++refused;
      }
      ASSERT_TRUE(!all || node.commits() == commits);
      disk.set_hook(nullptr);
      disk.set_capacity_bytes(UINT64_MAX);
      for (int i = 0; i < 10; ++i) ASSERT_TRUE(node.Step().ok());
    }
    ASSERT_GT(refused, 0u);
    ASSERT_EQ(node.fault(), "");
    node.Stop();
    disk.Crash();
    ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 1, 10));
  }
}

TEST(DiskFaults, LostTailThatComesBackStaysVoid) {
  uint64_t came_back = 0;
  for (uint64_t seed = 1; seed <= Seeds(400); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedDisk disk(seed);
    TestNode node(disk, seed);
    // The power fails while a record is being synced; the disk has it, but does not show it at
    // first.
    uint64_t syncs = 15 + seed % 20;
    disk.set_hook([&](const SimulatedDisk::Call& call) {
      if (call.operation == Operation::kSync && syncs > 0) --syncs;
      return syncs == 0 ? absl::AbortedError("no power") : absl::OkStatus();
    });
    ASSERT_FALSE(Live(node, 2, 200).ok());
    disk.set_hook(nullptr);
    node.Stop();
    const SimulatedDisk::Image before = disk.TakeImage();
    disk.Crash();
    const SimulatedDisk::Image after = disk.TakeImage();
    ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 1 + seed % 3, 10));
    for (const auto& [path, bytes] : before) {
      const auto shown = after.find(path);
      if (!path.ends_with(".log") || path.ends_with("next.log")) continue;
      if (shown == after.end() || shown->second == bytes) continue;
      const std::vector<std::string> files = disk.Files();
      if (std::find(files.begin(), files.end(), path) == files.end()) continue;
      disk.SetContents(path, bytes);
      ++came_back;
    }
    ASSERT_NO_FATAL_FAILURE(ExpectGoodLife(disk, node, 2, 10));
  }
  EXPECT_GT(came_back, Seeds(400) / 20);
}

}  // namespace
}  // namespace bettong::wal
