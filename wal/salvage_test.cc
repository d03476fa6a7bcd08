#include "wal/salvage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "wal/segment_writer.h"

namespace bettong::wal {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One shard's log of two partitions; a record for each section.
class SalvageTest : public testing::Test {
 protected:
  void SetUp() override {
    auto directory = DataDirectory::Open(disk_, "data", {.node = {}, .partitions = 2});
    ASSERT_TRUE(directory.ok()) << directory.status().ToString();
    directory_ = *std::move(directory);
    Begin(1, SegmentNumber(1), Lsn(0), {}, {});
  }

  // An epoch that goes on from these.
  void Begin(uint64_t epoch, SegmentNumber first, Lsn end_before, OpenEntry zero, OpenEntry one) {
    auto writer = SegmentWriter::Open({.files = &disk_,
                                       .directory = directory_->ShardPath(ShardId(0)),
                                       .node = directory_->node().node,
                                       .shard = ShardId(0),
                                       .epoch = Epoch(epoch),
                                       .first = first,
                                       .end_before = end_before,
                                       .segment_bytes = 64 << 10});
    ASSERT_TRUE(writer.ok()) << writer.status().ToString();
    writer_ = *std::move(writer);
    epoch_ = epoch;
    sequences_[0] = sequences_[1] = 1;
    std::string entries[2];
    EncodeOpen(zero, entries[0]);
    EncodeOpen(one, entries[1]);
    std::vector<Section> sections;
    for (uint16_t i = 0; i < 2; ++i) {
      sections.push_back({.partition = PartitionId(i),
                          .kind = SectionKind::kOpen,
                          .sequence = 1,
                          .entries = entries[i]});
    }
    ASSERT_TRUE(writer_->Commit(sections).ok());
  }
  void Add(uint16_t partition, std::string_view entries, SectionKind kind = SectionKind::kData) {
    const Section section{.partition = PartitionId(partition),
                          .kind = kind,
                          .sequence = ++sequences_[partition],
                          .now_ms = 1000,
                          .entries = entries};
    ASSERT_TRUE(writer_->Commit({&section, 1}).ok());
  }
  void AddRound(uint16_t partition, std::string_view image) {
    Add(partition, "", SectionKind::kCheckpointBegin);
    const uint64_t begin = sequences_[partition];
    Add(partition, image);
    std::string end;
    EncodeCheckpointEnd({.begin_epoch = Epoch(epoch_), .begin_sequence = begin}, end);
    Add(partition, end, SectionKind::kCheckpointEnd);
  }
  // A bit in the middle of what was written as this text.
  void Damage(const std::string& text) {
    for (const std::string& path : disk_.Files()) {
      const size_t at = disk_.Contents(path).find(text);
      if (at != std::string::npos) return disk_.FlipBit(path, at * 8 + 3);
    }
    FAIL() << text << " is nowhere";
  }

  struct Kept {
    std::vector<std::string> zero, one;  // data entries by partition; "|" where it becomes whole
    bool cut[2];
    std::vector<std::string> notes;
    Epoch last_epoch;
  };
  Kept Read() {
    auto salvage = Salvage::Read(disk_, *directory_);
    EXPECT_TRUE(salvage.ok()) << salvage.status().ToString();
    Kept kept;
    bool whole[2] = {};
    const absl::Status status = (*salvage)->Replay([&](const History::Visit& visit) {
      const uint16_t partition = visit.section.partition.value();
      auto& entries = partition == 0 ? kept.zero : kept.one;
      if (visit.complete_round && !std::exchange(whole[partition], true)) entries.push_back("|");
      if (visit.section.kind == SectionKind::kData) entries.emplace_back(visit.section.entries);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status.ToString();
    for (uint16_t i = 0; i < 2; ++i) kept.cut[i] = (*salvage)->cut(PartitionId(i));
    kept.notes = (*salvage)->notes();
    kept.last_epoch = (*salvage)->last_epoch();
    return kept;
  }

  SimulatedDisk disk_{1};
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<SegmentWriter> writer_;
  uint64_t epoch_ = 0;
  uint64_t sequences_[2] = {};
};

TEST_F(SalvageTest, APartitionGoesOnAsItWasBeforeItsGapOthersAreWhole) {
  Add(0, "first");
  Add(1, "other");
  Add(0, "second");
  Add(1, "more");
  Add(0, "third");
  Damage("second");
  const Kept kept = Read();
  EXPECT_THAT(kept.zero, ElementsAre("|", "first"));
  EXPECT_THAT(kept.one, ElementsAre("|", "other", "more"));
  EXPECT_TRUE(kept.cut[0]);
  EXPECT_FALSE(kept.cut[1]);
  EXPECT_THAT(kept.notes, Contains(HasSubstr("records 4 to 4 of epoch 1 are lost")));
  EXPECT_THAT(kept.notes, Contains(HasSubstr("partition 0: goes on as it was at")));
}

TEST_F(SalvageTest, ARoundBehindTheGapLosesNothing) {
  Add(0, "first");
  Add(0, "second");
  AddRound(0, "image");
  Add(0, "third");
  Damage("second");
  const Kept kept = Read();
  EXPECT_THAT(kept.zero, ElementsAre("image", "|", "third"));
  EXPECT_FALSE(kept.cut[0]);
}

TEST_F(SalvageTest, ARoundThatIsDamagedItselfIsOfNoUse) {
  Add(0, "first");
  Add(0, "second");
  AddRound(0, "image");
  Add(0, "third");
  Damage("second");
  Damage("image");
  const Kept kept = Read();
  EXPECT_THAT(kept.zero, ElementsAre("|", "first"));
  EXPECT_TRUE(kept.cut[0]);
}

TEST_F(SalvageTest, WhatALaterEpochCutOffStaysVoid) {
  Add(0, "first");
  Add(0, "void");
  Add(1, "other");
  writer_.reset();
  Begin(2, SegmentNumber(2), Lsn(2), {.continues = Epoch(1), .cut_sequence = 2},
        {.continues = Epoch(1), .cut_sequence = 1});
  Add(0, "second");
  Add(1, "damaged");
  Damage("damaged");
  const Kept kept = Read();
  EXPECT_THAT(kept.zero, ElementsAre("|", "first", "second"));
  EXPECT_THAT(kept.one, ElementsAre("|"));
  EXPECT_FALSE(kept.cut[0]);
  EXPECT_EQ(kept.last_epoch, Epoch(2));
}

TEST_F(SalvageTest, LossAtTheEndIsToldByWhatWasKnownToBeDurable) {
  Add(0, "first");
  Add(0, "last");
  Damage("last");
  EXPECT_THAT(Read().notes, Contains(HasSubstr("records 3 to 3 of epoch 1 are lost")));
}

TEST_F(SalvageTest, NothingIsKeptWhereTheBeginningIsGone) {
  Add(0, "first");
  for (const std::string& path : disk_.Files()) {
    if (path.find("00000001.log") == std::string::npos) continue;
    ASSERT_TRUE(disk_.Remove(path).ok());
  }
  const Kept kept = Read();
  EXPECT_THAT(kept.zero, IsEmpty());
}

TEST_F(SalvageTest, AnotherVersionIsNoDamage) {
  Add(0, "first");
  for (const std::string& path : disk_.Files()) {
    if (path.find("00000001.log") == std::string::npos) continue;
    std::string bytes = disk_.Contents(path);
    bytes[8] = 9;
    disk_.SetContents(path, bytes);
  }
  const auto salvage = Salvage::Read(disk_, *directory_);
  EXPECT_TRUE(absl::IsUnimplemented(salvage.status())) << salvage.status().ToString();
}

}  // namespace
}  // namespace bettong::wal
