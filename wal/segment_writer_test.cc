#include "wal/segment_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "wal/segment_reader.h"

namespace bettong::wal {
namespace {

using Operation = SimulatedDisk::Operation;

constexpr char kLog[] = "data/shard-00";
constexpr uint64_t kSegmentBytes = 16 << 10;

class SegmentWriterTest : public testing::Test {
 protected:
  void Open(SegmentNumber first = SegmentNumber(1), Epoch epoch = Epoch(1),
            Lsn end_before = Lsn(0)) {
    auto writer = SegmentWriter::Open(Options(first, epoch, end_before));
    ASSERT_TRUE(writer.ok()) << writer.status().ToString();
    writer_ = *std::move(writer);
    sequence_ = 0;
    ASSERT_TRUE(Commit("opened").ok());
  }

  SegmentWriterOptions Options(SegmentNumber first, Epoch epoch, Lsn end_before) {
    return {.files = &disk_,
            .directory = kLog,
            .epoch = epoch,
            .first = first,
            .end_before = end_before,
            .segment_bytes = kSegmentBytes,
            .spare_segments_max = 1};
  }

  absl::Status Commit(std::string_view entries) {
    const Section section{.kind = sequence_ == 0 ? SectionKind::kOpen : SectionKind::kData,
                          .sequence = sequence_ + 1,
                          .entries = entries};
    const absl::Status status = writer_->Commit({&section, 1}).status();
    if (status.ok()) ++sequence_;
    return status;
  }

  // Entries of all records of the newest epoch, by what is on disk.
  std::vector<std::string> Read(LogEnd* end = nullptr) {
    const auto segments = ListSegments(disk_, kLog, NodeUuid{}, ShardId(0));
    EXPECT_TRUE(segments.ok()) << segments.status().ToString();
    std::vector<SegmentInfo> run;
    for (const SegmentInfo& segment : *segments) {
      if (segment.header.epoch == segments->back().header.epoch) run.push_back(segment);
    }
    SegmentReader reader(disk_, run, std::nullopt);
    std::vector<std::string> entries;
    for (auto record = reader.Next(); record.ok() && record->has_value(); record = reader.Next()) {
      std::string_view sections = (*record)->sections;
      if (sections.empty()) entries.push_back("marker");
      while (!sections.empty()) {
        Section section;
        EXPECT_TRUE(DecodeSection(sections, section));
        entries.emplace_back(section.entries);
      }
    }
    const auto at = reader.End();
    EXPECT_TRUE(at.ok());
    EXPECT_NE(at->kind, LogEnd::Kind::kCorrupt) << at->message;
    if (end != nullptr) *end = *at;
    return entries;
  }

  void FailNext(Operation operation, const absl::Status& error) {
    disk_.set_hook([=, failed = false](const SimulatedDisk::Call& call) mutable {
      if (failed || call.operation != operation) return absl::OkStatus();
      failed = true;
      return error;
    });
  }

  SimulatedDisk disk_{1};
  std::unique_ptr<SegmentWriter> writer_;
  uint64_t sequence_ = 0;
};

TEST_F(SegmentWriterTest, WhatWasCommittedSurvivesAPowerFailure) {
  Open();
  ASSERT_TRUE(Commit("one").ok());
  ASSERT_TRUE(writer_->Commit({}).ok());
  EXPECT_EQ(writer_->durable_lsn(), Lsn(3));
  disk_.Crash();
  LogEnd end;
  EXPECT_EQ(Read(&end), (std::vector<std::string>{"opened", "one", "marker"}));
  EXPECT_EQ(end.last, Lsn(3));
}

TEST_F(SegmentWriterTest, SectionsOfAGroupLieInOneRecord) {
  Open();
  const Section group[] = {
      {.sequence = 2, .entries = "a"},
      {.partition = PartitionId(7), .kind = SectionKind::kOpen, .sequence = 1}};
  EXPECT_DEATH(writer_->Commit(group).IgnoreError(), "opens_are_over");
  const Section good[] = {{.sequence = 2, .entries = "a"}, {.sequence = 3, .entries = "b"}};
  ASSERT_TRUE(writer_->Commit(good).ok());
  LogEnd end;
  EXPECT_EQ(Read(&end), (std::vector<std::string>{"opened", "a", "b"}));
  EXPECT_EQ(end.last, Lsn(2));
  EXPECT_EQ(writer_->bytes_written(), PaddedRecordBytes(32 + 6) + PaddedRecordBytes(2 * 32 + 2));
}

TEST_F(SegmentWriterTest, GapInASequenceIsABug) {
  Open();
  const Section gap{.sequence = 3};
  EXPECT_DEATH(writer_->Commit({&gap, 1}).IgnoreError(), "sequence");
}

TEST_F(SegmentWriterTest, RecordThatFitsExactlyStaysOneByteMoreGoesOn) {
  for (const uint64_t more : {0, 1}) {
    SimulatedDisk disk(1);
    auto options = Options(SegmentNumber(1), Epoch(1), Lsn(0));
    options.files = &disk;
    auto writer = SegmentWriter::Open(options);
    ASSERT_TRUE(writer.ok());
    const uint64_t room = (*writer)->current_segment_room();
    EXPECT_EQ(room, kSegmentBytes - kSegmentHeaderBytes);
    const Section open{.kind = SectionKind::kOpen, .sequence = 1};
    ASSERT_TRUE((*writer)->Commit({&open, 1}).ok());
    const std::string entries((*writer)->current_segment_room() - 40 - 32 + more, 'x');
    const Section section{.sequence = 2, .entries = entries};
    ASSERT_TRUE((*writer)->Commit({&section, 1}).ok());
    EXPECT_EQ((*writer)->current_segment(), SegmentNumber(1 + more));
    EXPECT_EQ((*writer)->current_segment_room() == 0, more == 0);
  }
}

TEST_F(SegmentWriterTest, RecordLargerThanASegmentGetsOneOfItsOwnSize) {
  Open();
  const std::string large(3 * kSegmentBytes, 'L');
  ASSERT_TRUE(Commit("before").ok());
  ASSERT_TRUE(Commit(large).ok());
  EXPECT_EQ(writer_->current_segment(), SegmentNumber(2));
  const std::string behind(4096, 'b');
  ASSERT_TRUE(Commit(behind).ok());
  EXPECT_EQ(writer_->current_segment(), SegmentNumber(3));
  disk_.Crash();
  EXPECT_EQ(Read(), (std::vector<std::string>{"opened", "before", large, behind}));
  EXPECT_EQ(disk_.Contents("data/shard-00/00000002.log").size() % 4096, 0u);
}

TEST_F(SegmentWriterTest, ChainGoesOnOverManySegmentsNewAndRecycled) {
  Open();
  std::vector<std::string> expected;
  for (int i = 0; i < 60; ++i) {
    expected.push_back(std::to_string(i) + std::string(3000, 'x'));
    ASSERT_TRUE(Commit(expected.back()).ok());
    ASSERT_TRUE(writer_->PrepareNextSegment(5000).ok());
    const SegmentNumber keep_from(i == 40 ? 9 : 1);
    ASSERT_TRUE(writer_->RemoveBelow(keep_from).ok());
  }
  EXPECT_EQ(writer_->oldest_segment(), SegmentNumber(9));
  disk_.Crash();
  const std::vector<std::string> read = Read();
  ASSERT_LT(read.size(), expected.size());
  EXPECT_TRUE(std::equal(read.rbegin(), read.rend(), expected.rbegin()));
}

TEST_F(SegmentWriterTest, RemovedSegmentIsUsedAgainWithoutWritingItOver) {
  Open();
  const std::string entries(9000, 'x');
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Commit(entries).ok());
  EXPECT_EQ(writer_->current_segment(), SegmentNumber(3));
  ASSERT_TRUE(writer_->RemoveBelow(SegmentNumber(99)).ok());
  EXPECT_EQ(writer_->oldest_segment(), SegmentNumber(3));
  EXPECT_EQ(*disk_.List(kLog),
            (std::vector<std::string>{"00000001.spare", "00000003.log", "durable"}))
      << "one is kept, the other removed";
  const uint64_t writes = disk_.operations(Operation::kWrite);
  ASSERT_TRUE(writer_->PrepareNextSegment().ok());
  EXPECT_TRUE(writer_->next_segment_ready());
  EXPECT_EQ(disk_.operations(Operation::kWrite), writes);
  ASSERT_TRUE(Commit(entries).ok());
  EXPECT_EQ(*disk_.List(kLog),
            (std::vector<std::string>{"00000003.log", "00000004.log", "durable"}));
  disk_.Crash();
  EXPECT_EQ(Read().size(), 2u);
}

TEST_F(SegmentWriterTest, PreparedInPiecesAndOnlyOnce) {
  Open();
  int calls = 0;
  for (; !writer_->next_segment_ready(); ++calls) {
    ASSERT_TRUE(writer_->PrepareNextSegment(4096).ok());
  }
  EXPECT_EQ(calls, 4);
  const uint64_t operations = disk_.operations();
  ASSERT_TRUE(writer_->PrepareNextSegment().ok());
  EXPECT_EQ(disk_.operations(), operations);
}

TEST_F(SegmentWriterTest, FailedSyncBreaksItForGood) {
  Open();
  FailNext(Operation::kSync, absl::UnknownError("sync: Input/output error"));
  const absl::Status first = Commit("one");
  EXPECT_EQ(first.message(), "wal: sync: Input/output error");
  const uint64_t operations = disk_.operations();
  EXPECT_EQ(Commit("one"), first);
  EXPECT_EQ(writer_->Commit({}).status(), first);
  EXPECT_EQ(writer_->PrepareNextSegment(), first);
  EXPECT_EQ(writer_->RemoveBelow(SegmentNumber(1)), first);
  EXPECT_EQ(disk_.operations(), operations) << "nothing more is tried";
}

TEST_F(SegmentWriterTest, SyncThatMeetsAFullDiskIsAFailureToo) {
  Open();
  FailNext(Operation::kSync, absl::ResourceExhaustedError("sync: No space left on device"));
  const absl::Status status = Commit("one");
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Commit("one"), status);
}

TEST_F(SegmentWriterTest, WriteErrorBreaksItForGood) {
  Open();
  FailNext(Operation::kWrite, absl::UnknownError("Input/output error"));
  const absl::Status status = Commit("one");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(Commit("one"), status);
}

TEST_F(SegmentWriterTest, WhatAFullDiskRefusedIsNeverFound) {
  // The disk has taken all of it when it says that it is full (one case in four), or the missing
  // end looks like what was there before.
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SimulatedDisk disk(seed);
    auto options = Options(SegmentNumber(1), Epoch(1), Lsn(0));
    options.files = &disk;
    auto writer = SegmentWriter::Open(options);
    const Section open{.kind = SectionKind::kOpen, .sequence = 1};
    ASSERT_TRUE((*writer)->Commit({&open, 1}).ok());
    bool full = true;
    disk.set_hook([&](const SimulatedDisk::Call& call) {
      if (!full || call.operation != Operation::kWrite) return absl::OkStatus();
      full = false;
      return absl::ResourceExhaustedError("full");
    });
    const std::string zeros(600, '\0');
    const Section refused{.sequence = 2, .entries = zeros};
    ASSERT_TRUE(absl::IsResourceExhausted((*writer)->Commit({&refused, 1}).status()));
    const Section other{.sequence = 2, .entries = "other"};
    const bool goes_on = seed % 2 == 0;
    ASSERT_TRUE(!goes_on || (*writer)->Commit({&other, 1}).ok());
    disk.Crash();
    const auto segments = ListSegments(disk, kLog, NodeUuid{}, ShardId(0));
    SegmentReader reader(disk, *segments, std::nullopt);
    ASSERT_TRUE((*reader.Next()).has_value());
    const auto second = reader.Next();
    ASSERT_EQ(second->has_value(), goes_on) << seed;
    ASSERT_TRUE(!goes_on || (*second)->sections.ends_with("other"));
  }
}

TEST_F(SegmentWriterTest, FullDiskLeavesTheRestOfTheSegmentUsable) {
  Open();
  disk_.set_capacity_bytes(disk_.used_bytes() + 1000);
  const std::string entries(5000, 'x');
  ASSERT_TRUE(Commit(entries).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(writer_->PrepareNextSegment()));
  ASSERT_TRUE(Commit(entries).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Commit(entries)));
  ASSERT_TRUE(Commit("small").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Commit(std::string(40000, 'L'))));
  disk_.set_capacity_bytes(UINT64_MAX);
  ASSERT_TRUE(Commit(entries).ok());
  disk_.Crash();
  EXPECT_EQ(Read(), (std::vector<std::string>{"opened", entries, entries, "small", entries}));
}

TEST_F(SegmentWriterTest, DurableSaysSoBeforeCommitAnswers) {
  Open();
  for (uint64_t lsn = 2; lsn < 5; ++lsn) {
    ASSERT_TRUE(Commit("x").ok());
    const auto mark = ReadDurableMark(disk_, kLog, ShardId(0));
    ASSERT_TRUE(mark.ok() && mark->has_value());
    EXPECT_EQ((*mark)->lsn, Lsn(lsn));
    EXPECT_EQ((*mark)->epoch, Epoch(1));
  }
  EXPECT_FALSE(ReadDurableMark(disk_, kLog, ShardId(1))->has_value()) << "of another shard";
}

TEST_F(SegmentWriterTest, DurableKeepsTheEpochBeforeUntilTheFirstRecordOfTheNext) {
  Open();
  disk_.Kill();
  auto writer = SegmentWriter::Open(Options(SegmentNumber(2), Epoch(2), Lsn(1)));
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ((*ReadDurableMark(disk_, kLog, ShardId(0)))->epoch, Epoch(1));
  ASSERT_TRUE((*writer)->Commit({}).ok());
  EXPECT_EQ((*ReadDurableMark(disk_, kLog, ShardId(0)))->epoch, Epoch(2));
}

TEST_F(SegmentWriterTest, LeftoversOfAnEarlierProcessAreUsedOrRemoved) {
  Open();
  const std::string entries(9000, 'x');
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Commit(entries).ok());
  ASSERT_TRUE(writer_->RemoveBelow(SegmentNumber(2)).ok());
  disk_.Kill();
  disk_.SetContents("data/shard-00/next.log", std::string(100000, 'g'));
  disk_.SetContents("data/shard-00/large.log", std::string(100000, 'g'));
  disk_.SetContents("data/shard-00/00000007.spare", std::string(77, 'g'));
  Open(SegmentNumber(3), Epoch(2), Lsn(3));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Commit(entries).ok());
  ASSERT_TRUE(Commit(std::string(20000, 'L')).ok());
  disk_.Crash();
  EXPECT_EQ(Read().size(), 6u);
}

TEST_F(SegmentWriterTest, FirstSegmentMustFollowWhatIsThere) {
  Open();
  disk_.Kill();
  EXPECT_FALSE(SegmentWriter::Open(Options(SegmentNumber(1), Epoch(2), Lsn(1))).ok());
  EXPECT_FALSE(SegmentWriter::Open(Options(SegmentNumber(3), Epoch(2), Lsn(1))).ok());
}

}  // namespace
}  // namespace bettong::wal
