#include "wal/committer.h"

#include <gtest/gtest.h>

#include "base/simulated_disk.h"
#include "wal/record_testing.h"

namespace bettong::wal {
namespace {

class CommitterTest : public testing::Test {
 protected:
  void SetUp() override {
    auto writer = SegmentWriter::Open({.files = &disk_,
                                       .directory = "data/shard-00",
                                       .epoch = Epoch(1),
                                       .first = SegmentNumber(1),
                                       .segment_bytes = 16 << 10,
                                       .spare_segments_max = 1});
    ASSERT_TRUE(writer.ok()) << writer.status().ToString();
    std::vector<Committer::Writer> writers;
    writers.push_back({*std::move(writer), {PartitionId(0)}});
    committer_ = std::make_unique<Committer>(std::move(writers), rounds_);
    ASSERT_TRUE(Commit("opened").ok());
  }

  absl::Status Commit(std::string entries) {
    ++number_;
    record_ = RecordOf({{.kind = number_ == 1 ? SectionKind::kOpen : SectionKind::kData,
                         .sequence = number_,
                         .entries = std::move(entries)}});
    return committer_->Commit(record_);
  }

  SimulatedDisk disk_{1};
  Rounds rounds_{1, {}};
  std::unique_ptr<Committer> committer_;
  uint64_t number_ = 0;
  LogRecord record_;  // the last
};

TEST_F(CommitterTest, DiskStaysFullUntilTheNextSegmentHasRoom) {
  disk_.set_capacity_bytes(disk_.used_bytes() + 1000);
  EXPECT_FALSE(committer_->full());
  EXPECT_FALSE(*committer_->Tidy());
  EXPECT_TRUE(committer_->full());
  // What was under way fits into the segment at hand.
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Commit("under way").ok());
    EXPECT_TRUE(committer_->full());
  }
  EXPECT_FALSE(*committer_->Tidy());
  EXPECT_TRUE(committer_->full());
  disk_.set_capacity_bytes(UINT64_MAX);
  while (*committer_->Tidy()) {
  }
  EXPECT_FALSE(committer_->full());
}

TEST_F(CommitterTest, RecordThatTheDiskHadNoRoomForIsGivenAgain) {
  disk_.set_capacity_bytes(disk_.used_bytes() + 1000);
  EXPECT_TRUE(absl::IsResourceExhausted(Commit(std::string(20 << 10, 'x'))));
  EXPECT_TRUE(committer_->full());
  disk_.set_capacity_bytes(UINT64_MAX);
  EXPECT_TRUE(committer_->Commit(record_).ok());
  while (*committer_->Tidy()) {
  }
  EXPECT_FALSE(committer_->full());
  EXPECT_EQ(committer_->stats().records, 2u);
}

}  // namespace
}  // namespace bettong::wal
