#include "base/simulated_disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace bettong {
namespace {

using Operation = SimulatedDisk::Operation;

absl::Status Write(File& file, uint64_t offset, std::string_view bytes) {
  const std::string_view parts[] = {bytes};
  return file.WriteAt(offset, parts);
}

// A file of `size` zeros, durable with its name.
std::unique_ptr<File> MakeFile(SimulatedDisk& disk, const std::string& path, size_t size) {
  EXPECT_TRUE(disk.MakeDirectory(ParentDirectory(path)).ok());
  EXPECT_TRUE(disk.SyncDirectory(".").ok());
  auto file = disk.Open(path, OpenMode::kCreate);
  EXPECT_TRUE(file.ok());
  EXPECT_TRUE(Write(**file, 0, std::string(size, '\0')).ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_TRUE(disk.SyncDirectory(ParentDirectory(path)).ok());
  return *std::move(file);
}

TEST(SimulatedDisk, CrashKeepsWhatWasSyncedAndMayLoseTheRest) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SimulatedDisk disk(seed);
    const auto file = MakeFile(disk, "d/a", 1024);
    ASSERT_TRUE(Write(*file, 0, "synced").ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(Write(*file, 600, std::string(400, '1')).ok());
    ASSERT_TRUE(Write(*file, 600, std::string(400, '2')).ok());
    disk.Crash();
    const std::string bytes = disk.Contents("d/a");
    EXPECT_EQ(bytes.substr(0, 6), "synced");
    // The parts in the order in which they lie there.
    std::string parts = bytes.substr(600, 400);
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    outcomes.insert(parts);
    EXPECT_TRUE(absl::IsAborted(file->Sync())) << "of a process that has ended";
  }
  // Lost, kept, what it was in between, and torn from either end.
  const std::string zero(1, '\0');
  EXPECT_EQ(outcomes, (std::set<std::string>{zero, "1", "2", "1" + zero, "2" + zero, zero + "1",
                                             zero + "2"}));
}

TEST(SimulatedDisk, SectorsMakeItInAnyOrder) {
  std::set<std::pair<bool, bool>> outcomes;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedDisk disk(seed);
    const auto file = MakeFile(disk, "d/a", 1024);
    ASSERT_TRUE(Write(*file, 0, "a").ok());
    ASSERT_TRUE(Write(*file, 512, "b").ok());
    disk.Crash();
    outcomes.emplace(disk.Contents("d/a")[0] == 'a', disk.Contents("d/a")[512] == 'b');
  }
  EXPECT_EQ(outcomes.size(), 4u);
}

TEST(SimulatedDisk, NamesMayBeLostUntilTheirDirectoryIsSynced) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedDisk disk(seed);
    MakeFile(disk, "d/a", 1);
    MakeFile(disk, "d/b", 1);
    ASSERT_TRUE(disk.Rename("d/a", "d/c").ok());
    ASSERT_TRUE(disk.Remove("d/b").ok());
    ASSERT_TRUE(disk.Open("d/e", OpenMode::kCreate).ok());
    disk.Crash();
    std::string names;
    const auto listed = disk.List("d");
    for (const std::string& name : *listed) names += name;
    outcomes.insert(names);
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"ab", "abe", "a", "ae", "bc", "bce", "c", "ce"}));

  SimulatedDisk disk(1);
  MakeFile(disk, "d/a", 1);
  ASSERT_TRUE(disk.Rename("d/a", "d/c").ok());
  ASSERT_TRUE(disk.SyncDirectory("d").ok());
  disk.Crash();
  EXPECT_EQ(*disk.List("d"), std::vector<std::string>{"c"});
}

TEST(SimulatedDisk, DirectoryThatIsNotDurableTakesItsFilesAlong) {
  std::set<bool> kept;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedDisk disk(seed);
    ASSERT_TRUE(disk.MakeDirectory("x/y").ok());
    ASSERT_TRUE(disk.Open("x/y/a", OpenMode::kCreate).ok());
    ASSERT_TRUE(disk.SyncDirectory("x/y").ok());
    disk.Crash();
    EXPECT_TRUE(disk.List("x").ok()) << "made on the way";
    kept.insert(disk.List("x/y").ok());
    EXPECT_EQ(disk.List("x/y").ok(), disk.Open("x/y/a", OpenMode::kRead).ok());
  }
  EXPECT_EQ(kept.size(), 2u);
}

TEST(SimulatedDisk, FailedSyncForgetsWhatReadsStillSee) {
  uint64_t lost = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedDisk disk(seed);
    const auto file = MakeFile(disk, "d/a", 512);
    ASSERT_TRUE(Write(*file, 0, "x").ok());
    disk.set_hook([](const SimulatedDisk::Call& call) {
      return call.operation == Operation::kSync ? absl::UnknownError("EIO") : absl::OkStatus();
    });
    ASSERT_FALSE(file->Sync().ok());
    disk.set_hook(nullptr);
    ASSERT_TRUE(file->Sync().ok()) << "which is the lie";
    EXPECT_EQ(disk.Contents("d/a")[0], 'x');
    disk.Kill();
    disk.EvictCleanPages();
    lost += disk.Contents("d/a")[0] != 'x' ? 1 : 0;
  }
  EXPECT_GT(lost, 5u);
  EXPECT_LT(lost, 45u);
}

TEST(SimulatedDisk, WritingAgainAfterAFailedSyncHelps) {
  SimulatedDisk disk(3);
  const auto file = MakeFile(disk, "d/a", 512);
  ASSERT_TRUE(Write(*file, 0, "x").ok());
  disk.set_hook([](const SimulatedDisk::Call&) { return absl::UnknownError("EIO"); });
  ASSERT_FALSE(file->Sync().ok());
  disk.set_hook(nullptr);
  ASSERT_TRUE(Write(*file, 0, "x").ok());
  ASSERT_TRUE(file->Sync().ok());
  disk.Crash();
  EXPECT_EQ(disk.Contents("d/a")[0], 'x');
}

TEST(SimulatedDisk, FullDiskWritesWhatFits) {
  SimulatedDisk disk(1);
  const auto file = MakeFile(disk, "d/a", 100);
  disk.set_capacity_bytes(110);
  EXPECT_TRUE(absl::IsResourceExhausted(Write(*file, 95, "01234567890123456789")));
  EXPECT_EQ(*file->Size(), 110u);
  EXPECT_TRUE(Write(*file, 0, "in place").ok());
}

TEST(SimulatedDisk, SameSeedGivesTheSameOutcome) {
  const auto run = [](uint64_t seed) {
    SimulatedDisk disk(seed);
    const auto file = MakeFile(disk, "d/a", 4096);
    for (uint64_t i = 0; i < 8; ++i) EXPECT_TRUE(Write(*file, i * 512, "abcdefgh").ok());
    disk.Crash();
    return disk.Contents("d/a");
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(SimulatedDisk, HookSeesEveryOperationWithItsNumber) {
  SimulatedDisk disk(1);
  std::vector<std::string> seen;
  disk.set_hook([&](const SimulatedDisk::Call& call) {
    seen.push_back(std::to_string(call.number) + " " + std::string(call.path));
    return call.number == 3 ? absl::UnavailableError("no") : absl::OkStatus();
  });
  ASSERT_TRUE(disk.MakeDirectory("d").ok());
  ASSERT_TRUE(disk.Open("d/a", OpenMode::kCreate).ok());
  EXPECT_FALSE(disk.Rename("d/a", "d/b").ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"1 d", "2 d/a", "3 d/a"}));
  EXPECT_EQ(*disk.List("d"), std::vector<std::string>{"a"});
  EXPECT_EQ(disk.operations(Operation::kRename), 1u);
}

TEST(SimulatedDisk, LockIsFreeWhenTheProcessHasEnded) {
  SimulatedDisk disk(1);
  ASSERT_TRUE(disk.MakeDirectory("d").ok());
  auto lock = disk.Lock("d/LOCK");
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(disk.Lock("d/LOCK").status()));
  disk.Kill();
  EXPECT_TRUE(disk.Lock("d/LOCK").ok());
}

}  // namespace
}  // namespace bettong
