#include "wal/data_directory.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/simulated_disk.h"

namespace bettong::wal {
namespace {

constexpr char kNode[] = "bettong 1\nnode 0102030405060708090a0b0c0d0e0f10\npartitions 64\ncheck ";

NodeFile SomeNode() {
  NodeFile node{.partitions = 64};
  for (size_t i = 0; i < node.node.size(); ++i) node.node[i] = static_cast<char>(i + 1);
  return node;
}

TEST(DataDirectory, IsMadeOnceAndKeepsItsIdentity) {
  SimulatedDisk disk(1);
  {
    const auto made = DataDirectory::Open(disk, "a/data", SomeNode());
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    EXPECT_EQ((*made)->ShardPath(ShardId(7)), "a/data/shard-07");
    EXPECT_TRUE((*made)->Shards()->empty());
  }
  EXPECT_TRUE(disk.Contents("a/data/NODE").starts_with(kNode)) << disk.Contents("a/data/NODE");
  disk.Crash();
  const auto again = DataDirectory::Open(disk, "a/data", {.partitions = 8});
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ((*again)->node().partitions, 64u);
  EXPECT_EQ((*again)->node().node, SomeNode().node);
}

TEST(DataDirectory, CrashWhileItIsMadeLeavesNothingOrAWholeOne) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    for (uint64_t n = 1;; ++n) {
      SimulatedDisk disk(seed);
      disk.set_hook([&](const SimulatedDisk::Call& call) {
        return call.number >= n ? absl::AbortedError("here") : absl::OkStatus();
      });
      const bool made = DataDirectory::Open(disk, "a/data", SomeNode()).ok();
      disk.set_hook(nullptr);
      disk.Crash();
      const auto again = DataDirectory::Open(disk, "a/data", {.partitions = 8});
      ASSERT_TRUE(again.ok()) << again.status().ToString();
      ASSERT_TRUE(!made || (*again)->node().partitions == 64u) << "it was there, and has gone";
      if (made) break;
    }
  }
}

TEST(DataDirectory, SecondNodeIsRefused) {
  SimulatedDisk disk(1);
  const auto first = DataDirectory::Open(disk, "data", SomeNode());
  ASSERT_TRUE(first.ok());
  const auto second = DataDirectory::Open(disk, "data", SomeNode());
  EXPECT_TRUE(absl::IsAlreadyExists(second.status()));
  EXPECT_EQ(second.status().message(), "wal: lock data/LOCK: held by process 0");
  EXPECT_TRUE(DataDirectory::OpenToRead(disk, "data").ok()) << "tools may look";
}

TEST(DataDirectory, OtherPeoplesFilesAreLeftAlone) {
  SimulatedDisk disk(1);
  disk.SetContents("home/thesis.tex", "...");
  const auto opened = DataDirectory::Open(disk, "home", SomeNode());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(opened.status().message().find("it holds thesis.tex but no NODE"), std::string::npos);
}

TEST(DataDirectory, DamagedOrForeignIdentityIsRefused) {
  SimulatedDisk disk(1);
  { ASSERT_TRUE(DataDirectory::Open(disk, "data", SomeNode()).ok()); }
  const std::string good = disk.Contents("data/NODE");
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    disk.SetContents("data/NODE", damaged);
    ASSERT_TRUE(absl::IsDataLoss(DataDirectory::OpenToRead(disk, "data").status())) << bit;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    disk.SetContents("data/NODE", good.substr(0, size));
    ASSERT_FALSE(DataDirectory::OpenToRead(disk, "data").ok()) << size;
  }
  disk.SetContents("data/NODE", "bettong 2\nsomething new\n");
  EXPECT_EQ(DataDirectory::OpenToRead(disk, "data").status().message(),
            "wal: data/NODE: format version 2, this program knows 1: written by another version "
            "of Bettong (start that one), or damaged");
}

TEST(DataDirectory, ListsTheShardsThatHaveALog) {
  SimulatedDisk disk(1);
  const auto directory = DataDirectory::Open(disk, "data", SomeNode());
  for (const char* path : {"data/shard-10/durable", "data/shard-02/durable", "data/other/x"}) {
    disk.SetContents(path, "");
  }
  EXPECT_EQ(*(*directory)->Shards(), (std::vector<ShardId>{ShardId(2), ShardId(10)}));
}

}  // namespace
}  // namespace bettong::wal
