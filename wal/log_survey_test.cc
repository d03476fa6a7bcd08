#include "wal/log_survey.h"

#include <absl/strings/match.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "wal/data_directory.h"
#include "wal/history.h"
#include "wal/segment_writer.h"
#include "wal/tool_files.h"

namespace bettong::wal {
namespace {

constexpr char kLog[] = "data/shard-00";

std::unique_ptr<SegmentWriter> OpenWriter(SimulatedDisk& disk, uint64_t epoch, uint64_t first,
                                          uint64_t end_before) {
  auto writer = SegmentWriter::Open({.files = &disk,
                                     .directory = kLog,
                                     .epoch = Epoch(epoch),
                                     .first = SegmentNumber(first),
                                     .end_before = Lsn(end_before),
                                     .segment_bytes = 8192});
  EXPECT_TRUE(writer.ok()) << writer.status().ToString();
  return *std::move(writer);
}

// Two epochs; the first has three records, of which the second knows two.
void WriteTwoEpochs(SimulatedDisk& disk) {
  auto first = OpenWriter(disk, 1, 1, 0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(first->Commit({}).ok());
  auto second = OpenWriter(disk, 2, 2, 2);
  ASSERT_TRUE(second->Commit({}).ok());
}

struct Seen {
  std::vector<uint64_t> lsns;
  SegmentEnd end;
};
Seen Read(SimulatedDisk& disk, const SurveyedLog& log, size_t index) {
  Seen seen;
  const auto end = ReadSegment(disk, log, index, [&](const Record& record) {
    seen.lsns.push_back(record.header.lsn.value());
  });
  EXPECT_TRUE(end.ok()) << end.status().ToString();
  seen.end = *end;
  return seen;
}

TEST(LogSurvey, SaysWhatIsThereAndWhatIsVoid) {
  SimulatedDisk disk(1);
  WriteTwoEpochs(disk);
  const auto logs = SurveyLogs(disk, "data");
  ASSERT_TRUE(logs.ok());
  ASSERT_EQ(logs->size(), 1u);
  const SurveyedLog& log = logs->front();
  ASSERT_EQ(log.segments.size(), 2u);
  EXPECT_EQ(log.segments[0].header->epoch, Epoch(1));
  EXPECT_EQ(log.segments[0].last_that_counts, Lsn(2));
  EXPECT_EQ(log.segments[1].last_that_counts, std::nullopt);
  EXPECT_EQ(log.durable->epoch, Epoch(2));
  const Seen first = Read(disk, log, 0);
  EXPECT_EQ(first.lsns, (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(first.end.offset, kSegmentHeaderBytes + 3 * kRecordHeaderBytes);
  EXPECT_EQ(first.end.fault, "");
  EXPECT_EQ(Read(disk, log, 1).lsns, std::vector<uint64_t>{1});
}

TEST(LogSurvey, ReadsDamagedSegmentsAsFarAsTheyGo) {
  SimulatedDisk disk(1);
  WriteTwoEpochs(disk);
  const std::string first = std::string(kLog) + "/00000001.log";
  const std::string good = disk.Contents(first);
  disk.FlipBit(first, (kSegmentHeaderBytes + kRecordHeaderBytes + 9) * 8);
  auto logs = SurveyLogs(disk, "data");
  ASSERT_TRUE(logs.ok());
  const Seen seen = Read(disk, logs->front(), 0);
  EXPECT_EQ(seen.lsns, std::vector<uint64_t>{1});
  EXPECT_TRUE(absl::StrContains(seen.end.fault, "00000001.log at 4136: record 2"))
      << seen.end.fault;

  for (size_t size : {size_t{0}, size_t{100}, kSegmentHeaderBytes, kSegmentHeaderBytes + 50}) {
    disk.SetContents(first, good.substr(0, size));
    logs = SurveyLogs(disk, "data");
    ASSERT_TRUE(logs.ok());
    const SurveyedSegment& segment = logs->front().segments[0];
    EXPECT_NE(segment.fault, "") << size;
    EXPECT_EQ(segment.header.has_value(), size >= kSegmentHeaderBytes);
    if (segment.header) {
      EXPECT_EQ(Read(disk, logs->front(), 0).lsns.size(), size > kSegmentHeaderBytes ? 1u : 0u);
    }
  }
}

TEST(LogSurvey, AMissingDirectoryIsAnError) {
  SimulatedDisk disk(1);
  EXPECT_TRUE(absl::IsNotFound(SurveyLogs(disk, "data").status()));
}

TEST(ToolFiles, DurableIsAsItWasWhenTheyWereMade) {
  SimulatedDisk disk(1);
  auto writer = OpenWriter(disk, 1, 1, 0);
  ASSERT_TRUE(writer->Commit({}).ok());
  ToolFiles files(disk, "data");
  ASSERT_TRUE(writer->Commit({}).ok());
  const auto now = ReadDurableMark(disk, kLog, ShardId(0));
  const auto then = ReadDurableMark(files, kLog, ShardId(0));
  ASSERT_TRUE(now.ok() && then.ok());
  EXPECT_EQ((*now)->lsn, Lsn(2));
  EXPECT_EQ((*then)->lsn, Lsn(1));
}

TEST(ToolFiles, NothingCanBeChanged) {
  SimulatedDisk disk(1);
  WriteTwoEpochs(disk);
  const SimulatedDisk::Image before = disk.TakeImage();
  ToolFiles files(disk, "data");
  const std::string path = std::string(kLog) + "/00000001.log";
  EXPECT_TRUE(absl::IsPermissionDenied(files.Open(path, OpenMode::kReadWrite).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(files.Open("data/new", OpenMode::kCreate).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(files.Rename(path, "data/x")));
  EXPECT_TRUE(absl::IsPermissionDenied(files.Remove(path)));
  EXPECT_TRUE(absl::IsPermissionDenied(files.MakeDirectory("data/x")));
  EXPECT_TRUE(absl::IsPermissionDenied(files.SyncDirectory("data")));
  EXPECT_TRUE(absl::IsPermissionDenied(files.Lock("data/LOCK").status()));
  EXPECT_TRUE(files.Open(path, OpenMode::kRead).ok());
  EXPECT_TRUE(disk.TakeImage() == before);
}

}  // namespace
}  // namespace bettong::wal
