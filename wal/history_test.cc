#include "wal/history.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "wal/node_testing.h"
#include "wal/open_logs.h"

namespace bettong::wal {
namespace {

using testing::Test;

constexpr char kPath[] = "data";
constexpr uint64_t kSegmentBytes = 16 << 10;

// Lives of a node with two partitions, step by step.
class HistoryTest : public Test {
 protected:
  static constexpr uint32_t kPartitions = 2;

  // A process starts; `shard_of_0` and `shard_of_1` say where the partitions lie.
  void Start(uint16_t shard_of_0 = 0, uint16_t shard_of_1 = 0) {
    auto directory = DataDirectory::Open(disk_, kPath, {.partitions = kPartitions});
    ASSERT_TRUE(directory.ok()) << directory.status().ToString();
    directory_ = *std::move(directory);
    auto history = History::Open(disk_, *directory_);
    ASSERT_TRUE(history.ok()) << history.status().ToString();
    const auto end =
        (*history)->Replay([](PartitionId) { return false; },
                           [](const History::Visit&) { return absl::OkStatus(); }, nullptr);
    ASSERT_TRUE(end.ok()) << end.status().ToString();
    ASSERT_TRUE((*history)->Settle().ok());
    const ShardId where[] = {ShardId(shard_of_0), ShardId(shard_of_1)};
    auto logs = OpenLogs(disk_, *directory_, *end,
                         {.shards = std::max(shard_of_0, shard_of_1) + 1u,
                          .shard_of = [&](PartitionId id) { return where[id.value()]; },
                          .segment_bytes = kSegmentBytes});
    ASSERT_TRUE(logs.ok()) << logs.status().ToString();
    logs_ = *std::move(logs);
    sequences_ = {1, 1};
  }

  void Stop() {
    logs_.writers.clear();
    directory_.reset();
    disk_.Kill();
  }

  void Commit(uint16_t shard, uint16_t partition, std::string_view entries,
              SectionKind kind = SectionKind::kData) {
    const Section section{.partition = PartitionId(partition),
                          .kind = kind,
                          .sequence = ++sequences_[partition],
                          .now_ms = 100,
                          .entries = entries};
    ASSERT_TRUE(logs_.writers[shard]->Commit({&section, 1}).ok());
  }

  void CommitRound(uint16_t shard, uint16_t partition) {
    Commit(shard, partition, "", SectionKind::kCheckpointBegin);
    std::string entries;
    EncodeCheckpointEnd({logs_.epoch, sequences_[partition]}, entries);
    Commit(shard, partition, entries, SectionKind::kCheckpointEnd);
  }

  // Fills the current segment of a shard.
  void FillSegment(uint16_t shard, uint16_t partition) {
    const SegmentNumber before = logs_.writers[shard]->current_segment();
    while (logs_.writers[shard]->current_segment() == before) {
      Commit(shard, partition, std::string(3000, 'f'));
    }
  }

  // "epoch/sequence" of what counts, per partition; or the error.
  std::string Read() {
    const auto found = ReadEverything(disk_, kPath);
    if (!found.ok()) return std::string(found.status().message());
    std::string text;
    for (const Sections& sections : *found) {
      for (const SectionSeen& at : sections) {
        absl::StrAppend(&text, at.epoch.value(), "/", at.sequence, at.complete_round ? " " : "- ");
      }
      text += "| ";
    }
    return text;
  }

  bool ReadFailsWith(const std::string& part) {
    const std::string text = Read();
    EXPECT_NE(text.find(part), std::string::npos) << text;
    return text.find(part) != std::string::npos;
  }

  SimulatedDisk disk_{1};
  std::unique_ptr<DataDirectory> directory_;
  OpenedLogs logs_;
  std::vector<uint64_t> sequences_;
};

TEST_F(HistoryTest, EmptyDirectoryHasNone) {
  auto directory = DataDirectory::Open(disk_, kPath, {.partitions = kPartitions});
  ASSERT_TRUE(directory.ok());
  auto history = History::Open(disk_, **directory);
  ASSERT_TRUE(history.ok());
  const auto end =
      (*history)->Replay([](PartitionId) { return true; },
                         [](const History::Visit&) { return absl::OkStatus(); }, nullptr);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->last_epoch, Epoch(0));
  ASSERT_EQ(end->partitions.size(), kPartitions);
  EXPECT_EQ(end->partitions[0].epoch, Epoch(0));
  EXPECT_EQ(end->LogOf(ShardId(3)).next_segment, SegmentNumber(1));
}

TEST_F(HistoryTest, EpochsFollowEachOtherAlsoFromOneLogToAnother) {
  Start(0, 1);
  Commit(0, 0, "a");
  Commit(1, 1, "b");
  Stop();
  Start(1, 0);
  Commit(1, 0, "c");
  Stop();
  Start(0, 0);
  Stop();
  EXPECT_EQ(Read(), "1/1 1/2 2/1 2/2 3/1 | 1/1 1/2 2/1 3/1 | ");
}

TEST_F(HistoryTest, TailSaysHowTheNextEpochGoesOn) {
  Start();
  Commit(0, 0, "a");
  Stop();
  auto directory = DataDirectory::OpenToRead(disk_, kPath);
  auto history = History::Open(disk_, **directory);
  std::vector<uint64_t> bytes;
  const auto end = (*history)->Replay([](PartitionId id) { return id == PartitionId(0); },
                                      [](const History::Visit& at) {
                                        EXPECT_EQ(at.section.partition, PartitionId(0));
                                        return absl::OkStatus();
                                      },
                                      [&](const HistoryProgress& at) {
                                        bytes = {at.bytes_done, at.bytes_total};
                                      });
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->last_epoch, Epoch(1));
  EXPECT_EQ(end->partitions[0].last_sequence, 2u);
  EXPECT_EQ(end->partitions[0].now_ms, 100);
  EXPECT_EQ(end->partitions[1].last_sequence, 1u) << "also of those that nobody wants";
  EXPECT_EQ(end->LogOf(ShardId(0)).next_segment, SegmentNumber(2));
  EXPECT_EQ(end->LogOf(ShardId(0)).last_lsn, Lsn(3));
  EXPECT_EQ(bytes, (std::vector<uint64_t>{kSegmentBytes, kSegmentBytes}));
}

TEST_F(HistoryTest, ErrorOfTheVisitorEndsTheReplay) {
  Start();
  Stop();
  auto directory = DataDirectory::OpenToRead(disk_, kPath);
  auto history = History::Open(disk_, **directory);
  const auto end = (*history)->Replay(
      [](PartitionId) { return true; },
      [](const History::Visit&) { return absl::CancelledError("enough"); }, nullptr);
  EXPECT_TRUE(absl::IsCancelled(end.status()));
}

TEST_F(HistoryTest, TornTailIsCutWithANoteAndVoidForEver) {
  Start();
  Commit(0, 0, "kept");
  const uint64_t begin =
      kSegmentBytes - logs_.writers[0]->current_segment_room();  // of the next record
  Commit(0, 0, std::string(500, 't'));
  Stop();
  const std::string path = "data/shard-00/00000001.log";
  const std::string whole = disk_.Contents(path);
  std::string torn = whole;
  torn[begin + 300] = '\0';
  disk_.SetContents(path, torn);
  ASSERT_TRUE(ReadFailsWith("the file `durable` says that everything up to 4 was"));
  // As after a power failure.
  ASSERT_TRUE(disk_.Remove("data/shard-00/durable").ok());
  EXPECT_EQ(Read(), "1/1 1/2 | 1/1 | ");
  auto directory = DataDirectory::OpenToRead(disk_, kPath);
  auto history = History::Open(disk_, **directory);
  const auto end =
      (*history)->Replay([](PartitionId) { return true; },
                         [](const History::Visit&) { return absl::OkStatus(); }, nullptr);
  ASSERT_EQ(end->notes.size(), 1u);
  EXPECT_EQ(end->notes[0],
            absl::StrCat("cut a torn tail: data/shard-00/00000001.log at ", begin,
                         ": record 4 of epoch 1 is not whole; nobody was told that it is durable"));
  Start();
  Stop();
  disk_.SetContents(path, whole);
  EXPECT_EQ(Read(), "1/1 1/2 2/1 | 1/1 2/1 | ");
}

TEST_F(HistoryTest, BadRecordWithAWholeOneBehindIsCorruption) {
  Start();
  const uint64_t begin = kSegmentBytes - logs_.writers[0]->current_segment_room();
  Commit(0, 0, std::string(100, 'x'));
  Commit(0, 0, "behind");
  Stop();
  ASSERT_TRUE(disk_.Remove("data/shard-00/durable").ok());
  disk_.FlipBit("data/shard-00/00000001.log", (begin + 90) * 8);
  EXPECT_TRUE(
      ReadFailsWith("says that everything up to 3 was durable. Restore the data "
                    "directory from a copy"));
}

TEST_F(HistoryTest, OlderEpochMustReachWhatTheNextOneFound) {
  Start();
  Commit(0, 0, "x");
  ASSERT_TRUE(logs_.writers[0]->Commit({}).ok());
  Stop();
  Start();
  Stop();
  // The marker holds no section: only the header of the next epoch knows of it.
  std::string bytes = disk_.Contents("data/shard-00/00000001.log");
  const size_t marker = bytes.rfind("BREC");
  bytes[marker + 20] ^= 1;
  disk_.SetContents("data/shard-00/00000001.log", bytes);
  EXPECT_TRUE(ReadFailsWith("the next epoch found records up to 4"));
}

// A second crash, while the logs are being opened, must not take the witness of the first epoch's
// last record away.
TEST_F(HistoryTest, LastRecordStaysProtectedWhenTheNextOpeningIsCutShort) {
  Start(0, 1);
  Commit(1, 1, "the last of its log");
  Stop();
  int markers = 0;
  disk_.set_hook([&](const SimulatedDisk::Call& call) {
    markers += call.operation == SimulatedDisk::Operation::kWrite && call.bytes == 40 ? 1 : 0;
    return markers > 0 ? absl::AbortedError("here") : absl::OkStatus();
  });
  auto directory = DataDirectory::Open(disk_, kPath, {.partitions = kPartitions});
  auto history = History::Open(disk_, **directory);
  const auto end =
      (*history)->Replay([](PartitionId) { return true; },
                         [](const History::Visit&) { return absl::OkStatus(); }, nullptr);
  // Partition 1 moves; its old log's `durable` goes over to the new epoch.
  const auto where = [](PartitionId id) { return ShardId(id == PartitionId(0) ? 1 : 0); };
  ASSERT_FALSE(OpenLogs(disk_, **directory, *end,
                        {.shards = 2, .shard_of = where, .segment_bytes = kSegmentBytes})
                   .ok());
  disk_.set_hook(nullptr);
  directory->reset();
  disk_.Kill();
  std::string bytes = disk_.Contents("data/shard-01/00000001.log");
  bytes[bytes.find("the last")] ^= 1;
  disk_.SetContents("data/shard-01/00000001.log", bytes);
  EXPECT_TRUE(ReadFailsWith("the next epoch found records up to 3"));
}

TEST_F(HistoryTest, FrontMayGoWhenARoundOfEachPartitionIsThere) {
  Start();
  FillSegment(0, 0);
  CommitRound(0, 0);
  const SegmentNumber keep_from = logs_.writers[0]->current_segment();
  Stop();
  ASSERT_TRUE(disk_.Remove("data/shard-00/" + SegmentFileName(SegmentNumber(1))).ok());
  EXPECT_EQ(keep_from, SegmentNumber(2));
  EXPECT_TRUE(ReadFailsWith("partition 1: the beginning of its history is missing"));
}

TEST_F(HistoryTest, TrimmedHistoryBeginsWhereItCanAndSaysWhenItIsComplete) {
  Start();
  FillSegment(0, 0);
  CommitRound(0, 0);
  CommitRound(0, 1);
  Commit(0, 0, "after");
  ASSERT_TRUE(logs_.writers[0]->RemoveBelow(SegmentNumber(2)).ok());
  Stop();
  EXPECT_EQ(Read(), "1/5- 1/6- 1/7- 1/8 | 1/2- 1/3- | ");
  Start();
  Stop();
  EXPECT_EQ(Read(), "1/5- 1/6- 1/7- 1/8 2/1 | 1/2- 1/3- 2/1 | ");
}

TEST_F(HistoryTest, EndOfARoundWhoseBeginWasRemovedCompletesNothing) {
  Start();
  CommitRound(0, 1);
  Commit(0, 0, "", SectionKind::kCheckpointBegin);
  std::string entries;
  EncodeCheckpointEnd({Epoch(1), 2}, entries);
  FillSegment(0, 0);
  Commit(0, 0, entries, SectionKind::kCheckpointEnd);
  CommitRound(0, 1);
  Stop();
  ASSERT_TRUE(disk_.Remove("data/shard-00/00000001.log").ok());
  EXPECT_TRUE(ReadFailsWith("partition 0: the beginning of its history is missing"));
}

TEST_F(HistoryTest, OldSectionsLeftInAnotherLogDoNotComeBackWhenTheirSuccessorIsTrimmed) {
  Start(0, 0);
  Commit(0, 1, "old");
  Stop();
  // Partition 1 moves to shard 1, whose log loses its front; shard 0 keeps the old sections.
  Start(0, 1);
  FillSegment(1, 1);
  CommitRound(1, 1);
  ASSERT_TRUE(logs_.writers[1]->RemoveBelow(SegmentNumber(2)).ok());
  Stop();
  EXPECT_EQ(Read(), "1/1 2/1 | 2/5- 2/6- 2/7- | ");
}

TEST_F(HistoryTest, MissingSegmentsAreCorruption) {
  Start();
  FillSegment(0, 0);
  FillSegment(0, 0);
  Stop();
  const SimulatedDisk::Image image = disk_.TakeImage();
  ASSERT_TRUE(disk_.Remove("data/shard-00/00000002.log").ok());
  EXPECT_TRUE(ReadFailsWith("00000003.log: the segment before it is missing"));
  disk_.LoadImage(image);
  ASSERT_TRUE(disk_.Remove("data/shard-00/00000003.log").ok());
  EXPECT_TRUE(ReadFailsWith("the file `durable` says"));
  disk_.LoadImage(image);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(disk_.Remove("data/shard-00/" + SegmentFileName(SegmentNumber(i))).ok());
  }
  EXPECT_TRUE(ReadFailsWith("durable knows of records of epoch 1"));
}

TEST_F(HistoryTest, MissingLogIsCorruption) {
  Start(0, 0);
  Stop();
  Start(0, 1);
  Stop();
  for (const std::string& path : disk_.Files()) {
    ASSERT_TRUE(!path.starts_with("data/shard-01/") || disk_.Remove(path).ok());
  }
  ASSERT_TRUE(disk_.Remove("data/shard-01").ok());
  EXPECT_TRUE(ReadFailsWith("partition 1: its open section of epoch 2 is missing"));
}

TEST_F(HistoryTest, LogOfAShardThatIsNoMoreGoesWhenNothingInItIsNeeded) {
  Start(0, 1);
  Stop();
  Start(0, 0);
  CommitRound(0, 0);
  CommitRound(0, 1);
  EXPECT_EQ(directory_->Shards()->size(), 2u);
  ASSERT_TRUE(directory_->RemoveLog(ShardId(1)).ok());
  EXPECT_EQ(directory_->Shards()->size(), 1u);
  ASSERT_TRUE(directory_->RemoveLog(ShardId(1)).ok()) << "not there: nothing to do";
  Stop();
  disk_.Crash();
  EXPECT_EQ(Read(), "1/1 2/1 2/2 2/3 | 2/1- 2/2- 2/3- | ");
}

TEST_F(HistoryTest, SectionsThatCannotBeAreCorruptionInWords) {
  Start();
  const Section strange{.partition = PartitionId(9), .kind = SectionKind::kOpen, .sequence = 1};
  ASSERT_TRUE(logs_.writers[0]->Commit({&strange, 1}).ok());
  Stop();
  EXPECT_TRUE(ReadFailsWith("what is in it is not a section"));
}

TEST_F(HistoryTest, RoundThatEndsWithoutABeginIsCorruption) {
  Start();
  std::string entries;
  EncodeCheckpointEnd({Epoch(1), 1}, entries);
  Commit(0, 0, entries, SectionKind::kCheckpointEnd);
  Stop();
  EXPECT_TRUE(ReadFailsWith("ends a checkpoint round that has no begin"));
}

}  // namespace
}  // namespace bettong::wal
