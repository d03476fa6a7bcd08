#include "wal/log_record.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wal/record_testing.h"

namespace bettong::wal {
namespace {

void AddPiece(LogRecord& record, uint32_t section, std::string_view bytes) {
  ByteWriter out(record.pieces);
  out.Fixed(
      LogRecord::PieceHeader{.section = section, .bytes = static_cast<uint32_t>(bytes.size())});
  out.Raw(bytes);
}

TEST(SectionSorterTest, PiecesOfASectionComeTogetherInTheOrderTheyCameIn) {
  LogRecord record{.now_ms = 77};
  record.sections = {{PartitionId(5), SectionKind::kData, 3},
                     {PartitionId(2), SectionKind::kCheckpointBegin, 8},
                     {PartitionId(2), SectionKind::kData, 9}};
  AddPiece(record, 0, "a");
  AddPiece(record, 2, "xy");
  AddPiece(record, 0, "bc");
  AddPiece(record, 2, "");
  AddPiece(record, 2, "z");
  SectionSorter sorter;
  const std::span<const Section> sections = sorter.Sort(record);
  ASSERT_EQ(sections.size(), 3u);
  const std::string_view entries[] = {"abc", "", "xyz"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(sections[i].partition, record.sections[i].partition);
    EXPECT_EQ(sections[i].kind, record.sections[i].kind);
    EXPECT_EQ(sections[i].sequence, record.sections[i].sequence);
    EXPECT_EQ(sections[i].now_ms, 77);
    EXPECT_EQ(sections[i].entries, entries[i]);
  }
}

TEST(SectionSorterTest, NothingOfOneRecordIsInTheNext) {
  std::mt19937 random(3);
  SectionSorter sorter;
  for (int round = 0; round < 200; ++round) {
    LogRecord record;
    std::vector<std::string> expected(random() % 5);
    record.sections.resize(expected.size());
    for (size_t piece = 0; !expected.empty() && piece < random() % 40; ++piece) {
      const auto section = static_cast<uint32_t>(random() % expected.size());
      // Now and then one that the memory kept is too small, or too large, for.
      const size_t size = random() % 100 == 0 ? 5u << 20 : random() % 50;
      const std::string bytes(size, static_cast<char>('a' + random() % 26));
      expected[section] += bytes;
      AddPiece(record, section, bytes);
    }
    const std::span<const Section> sections = sorter.Sort(record);
    ASSERT_EQ(sections.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(sections[i].entries, expected[i]);
  }
}

TEST(SectionSorterDeathTest, APieceOfNoSectionOrBeyondTheEndIsABug) {
  LogRecord record;
  AddPiece(record, 0, "a");
  EXPECT_DEATH(SectionSorter().Sort(record), "section");
  record.sections.resize(1);
  record.pieces.pop_back();
  EXPECT_DEATH(SectionSorter().Sort(record), "bytes");
}

}  // namespace
}  // namespace bettong::wal
