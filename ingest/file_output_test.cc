#include "ingest/file_output.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/simulated_disk.h"

namespace bettong::ingest {
namespace {

class FileOutputTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.MakeDirectory("out").ok()); }

  void Open(const std::optional<FileOutputState>& state = std::nullopt, bool truncate = false) {
    note_.clear();
    auto output = FileOutput::Open(disk_, kPath, truncate, state, note_);
    ASSERT_TRUE(output.ok()) << output.status().ToString();
    output_ = *std::move(output);
  }
  absl::Status Write(uint16_t partition, std::vector<uint64_t> sequences) {
    absl::Status status = Append(partition, std::move(sequences));
    return status.ok() ? output_->Sync() : status;
  }
  absl::Status Append(uint16_t partition, std::vector<uint64_t> sequences) {
    SinkChunk chunk;
    for (uint64_t sequence : sequences) {
      const std::string line = std::to_string(partition) + "/" + std::to_string(sequence) + "\n";
      chunk.lines += line;
      chunk.items.push_back(
          {.partition = PartitionId(partition), .sequence = sequence, .end = chunk.lines.size()});
    }
    SinkChunk* chunks[] = {&chunk};
    return output_->Append(chunks);
  }
  std::string Contents() const { return disk_.Contents(kPath); }

  static constexpr char kPath[] = "out/file";
  SimulatedDisk disk_{1};
  std::string note_;
  std::unique_ptr<FileOutput> output_;
};

TEST_F(FileOutputTest, EachOutputIsWrittenOnce) {
  Open();
  ASSERT_TRUE(Write(3, {1, 2}).ok());
  ASSERT_TRUE(Write(3, {1, 2, 5}).ok());
  ASSERT_TRUE(Write(0, {1}).ok());
  ASSERT_TRUE(Write(3, {5}).ok());
  EXPECT_EQ(Contents(), "3/1\n3/2\n3/5\n0/1\n");
  EXPECT_EQ(output_->state().bytes, Contents().size());
}

TEST_F(FileOutputTest, WhatTheStateDoesNotKnowIsCutAndWrittenAgain) {
  Open();
  ASSERT_TRUE(Write(0, {1, 2}).ok());
  const FileOutputState known = output_->state();
  ASSERT_TRUE(Write(0, {3, 4}).ok());
  disk_.Kill();
  Open(*FileOutputState::Decode(known.Encode()));
  EXPECT_EQ(Contents(), "0/1\n0/2\n");
  EXPECT_EQ(note_, "out/file: cut from 16 to 8 bytes; what was behind is written again");
  ASSERT_TRUE(Write(0, {1, 2, 3, 4}).ok());
  EXPECT_EQ(Contents(), "0/1\n0/2\n0/3\n0/4\n");
}

TEST_F(FileOutputTest, AFileOfWhichNothingIsKnownIsSomebodyElses) {
  disk_.SetContents(kPath, "theirs\n");
  Open();
  ASSERT_TRUE(Write(0, {1}).ok());
  EXPECT_EQ(Contents(), "theirs\n0/1\n");
  EXPECT_EQ(note_, "");
  Open(std::nullopt, /*truncate=*/true);
  ASSERT_TRUE(Write(0, {1}).ok());
  EXPECT_EQ(Contents(), "0/1\n");
  // The state of another file tells its outputs, not its bytes.
  FileOutputState other{.path = "out/other", .bytes = 2, .sequences = {1}};
  Open(other);
  ASSERT_TRUE(Write(0, {1, 2}).ok());
  EXPECT_EQ(Contents(), "0/1\n0/2\n");
}

TEST_F(FileOutputTest, AFileThatHasBecomeShorterIsGoneOnWithAtItsEnd) {
  Open();
  ASSERT_TRUE(Write(0, {1, 2}).ok());
  const FileOutputState known = output_->state();
  disk_.SetContents(kPath, "0/1\n");
  Open(known);
  EXPECT_EQ(note_,
            "out/file has 4 bytes, not the 8 that have been written to it; going on at its end");
  ASSERT_TRUE(Write(0, {2, 3}).ok());
  EXPECT_EQ(Contents(), "0/1\n0/3\n");
}

TEST_F(FileOutputTest, AfterAnErrorTheSameIsWrittenInTheSamePlace) {
  using Operation = SimulatedDisk::Operation;
  for (const Operation failing : {Operation::kWrite, Operation::kSync}) {
    disk_.SetContents(kPath, "");
    Open();
    ASSERT_TRUE(Write(0, {1}).ok());
    disk_.set_hook([failing](const SimulatedDisk::Call& call) {
      return call.operation == failing ? absl::InternalError("broken") : absl::OkStatus();
    });
    EXPECT_FALSE(Write(0, {2, 3}).ok());
    EXPECT_EQ(output_->state().bytes, 4u);
    disk_.set_hook({});
    ASSERT_TRUE(Write(0, {2, 3}).ok());
    EXPECT_EQ(Contents(), "0/1\n0/2\n0/3\n");
  }
}

// The first process came no further than to make the file.
TEST(FileOutput, AFileThatWasThereSurvivesAPowerFailure) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimulatedDisk disk(seed);
    ASSERT_TRUE(disk.MakeDirectory("out").ok());
    ASSERT_TRUE(disk.SyncDirectory(".").ok());
    disk.set_hook([](const SimulatedDisk::Call& call) {
      return call.operation == SimulatedDisk::Operation::kSyncDirectory
                 ? absl::InternalError("broken")
                 : absl::OkStatus();
    });
    std::string note;
    EXPECT_FALSE(FileOutput::Open(disk, "out/file", false, std::nullopt, note).ok());
    disk.Kill();
    disk.set_hook({});
    const auto output = FileOutput::Open(disk, "out/file", false, std::nullopt, note);
    ASSERT_TRUE(output.ok());
    SinkChunk chunk;
    chunk.lines = "a line\n";
    chunk.items.push_back({.partition = PartitionId(0), .sequence = 1, .end = chunk.lines.size()});
    SinkChunk* chunks[] = {&chunk};
    ASSERT_TRUE((*output)->Append(chunks).ok());
    ASSERT_TRUE((*output)->Sync().ok());
    disk.Crash();
    EXPECT_EQ(disk.Contents("out/file"), "a line\n") << seed;
  }
}

TEST_F(FileOutputTest, WhatIsAppendedIsReadableAndKnownOnceSynced) {
  Open();
  ASSERT_TRUE(Append(0, {1, 2}).ok());
  EXPECT_EQ(Contents(), "0/1\n0/2\n");
  EXPECT_EQ(output_->state().bytes, 0u);
  ASSERT_TRUE(Append(0, {2, 3}).ok());
  ASSERT_TRUE(output_->Sync().ok());
  EXPECT_EQ(Contents(), "0/1\n0/2\n0/3\n");
  EXPECT_EQ(output_->state().bytes, 12u);
}

TEST_F(FileOutputTest, AnErrorTakesBackAllThatWasNotSynced) {
  Open();
  ASSERT_TRUE(Write(0, {1}).ok());
  ASSERT_TRUE(Append(0, {2}).ok());
  disk_.set_hook([](const SimulatedDisk::Call& call) {
    return call.operation == SimulatedDisk::Operation::kSync ? absl::InternalError("broken")
                                                             : absl::OkStatus();
  });
  EXPECT_FALSE(output_->Sync().ok());
  disk_.set_hook({});
  ASSERT_TRUE(Write(0, {2, 3}).ok());
  EXPECT_EQ(Contents(), "0/1\n0/2\n0/3\n");
}

TEST_F(FileOutputTest, WhatIsNoStateIsRefused) {
  const FileOutputState state{.path = "p", .bytes = 300, .sequences = {0, 7, 300}};
  const std::string whole = state.Encode();
  const auto decoded = FileOutputState::Decode(whole);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->path, "p");
  EXPECT_EQ(decoded->bytes, 300u);
  EXPECT_EQ(decoded->sequences, state.sequences);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(FileOutputState::Decode(whole.substr(0, size))) << size;
  }
  EXPECT_FALSE(FileOutputState::Decode(whole + "x"));
  EXPECT_FALSE(FileOutputState::Decode("\x02" + whole.substr(1)));
}

}  // namespace
}  // namespace bettong::ingest
