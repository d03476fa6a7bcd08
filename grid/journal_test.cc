// Golden bytes of the log's entries: docs/log-format.md, "Sections".
#include "grid/journal.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "wal/record_testing.h"

namespace bettong::grid {
namespace {

constexpr PartitionId kFirst{0}, kSecond{1};
constexpr TimeMs kNowMs = 1'234;

std::shared_ptr<const Catalog> MakeCatalog() {
  auto catalog = std::make_shared<Catalog>();
  ClassSchema& host = catalog->classes.emplace_back();
  host.name = "Host";
  host.prefix = "host";
  host.row.fields = {
      {.name = "cpu", .type = FieldType::kFloat, .optional = true},
      {.name = "last", .type = FieldType::kIntArray, .array_size = 300},
  };
  BETTONG_CHECK(catalog->Finish().empty());
  return catalog;
}

// "01 02" for "\1\2".
std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) {
    absl::StrAppend(&hex, hex.empty() ? "" : " ", absl::BytesToHexString({&byte, 1}));
  }
  return hex;
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() : catalog_(MakeCatalog()), journal_(*catalog_, 2) {}

  void Change(PartitionId partition, std::string_view key, ChangeOp op, std::string_view payload) {
    journal_.Change(partition, key, op).append(payload);
  }
  std::vector<wal::OwnedSection> Take() {
    wal::LogRecord record;
    journal_.TakeInto(record, kNowMs);
    return wal::SectionsOf(record);
  }
  // The entries of the only section.
  std::string TakeHex() {
    const std::vector<wal::OwnedSection> sections = Take();
    EXPECT_EQ(sections.size(), 1u);
    return sections.empty() ? "" : Hex(sections[0].entries);
  }

  std::shared_ptr<const Catalog> catalog_;
  Journal journal_;
};

TEST_F(JournalTest, AChangeIsTheKeyTheOpAndItsPayload) {
  Change(kFirst, "ab", ChangeOp::kPutString, "\3xyz");
  EXPECT_EQ(TakeHex(), "01 02 61 62 07 03 78 79 7a");
}

TEST_F(JournalTest, FurtherChangesOfTheKeyOfTheChangeBeforeLeaveTheKeyOut) {
  Change(kFirst, "ab", ChangeOp::kNew, "\2");
  Change(kFirst, "ab", ChangeOp::kHashSet, "\1\1f\1v");
  Change(kSecond, "c", ChangeOp::kDelete, "");  // another partition is another section
  Change(kFirst, "ab", ChangeOp::kDeadline, std::string_view("\1\0\0\0\0\0\0\0", 8));
  Change(kFirst, "a", ChangeOp::kDelete, "");
  Change(kFirst, "ab", ChangeOp::kDelete, "");
  const std::vector<wal::OwnedSection> sections = Take();
  ASSERT_EQ(sections.size(), 2u);
  EXPECT_EQ(Hex(sections[0].entries),
            "01 02 61 62 0c 02 "              // change ab, new, hash
            "0a 08 01 01 66 01 76 "           // more, hash set f v
            "0a 05 01 00 00 00 00 00 00 00 "  // more, deadline 1
            "01 01 61 04 01 02 61 62 04");    // change a, delete; change ab, delete
  EXPECT_EQ(Hex(sections[1].entries), "01 01 63 04");
  // A section is read alone: its first change names the key.
  Change(kFirst, "ab", ChangeOp::kDelete, "");
  EXPECT_EQ(TakeHex(), "01 02 61 62 04");
}

TEST_F(JournalTest, AnEmptyKeyIsAKey) {
  Change(kFirst, "", ChangeOp::kDelete, "");
  Change(kFirst, "", ChangeOp::kDelete, "");
  EXPECT_EQ(TakeHex(), "01 00 04 0a 04");
}

TEST_F(JournalTest, OutputsInputsAndWhatIsConfirmed) {
  journal_.Output(kFirst, 300, "out", "{}");
  journal_.Input(kFirst, 301, "in", {7, 2}, "\1\1f\1v");
  journal_.Confirmed(kFirst, 299);
  journal_.Sequences(kFirst, 301);
  EXPECT_EQ(TakeHex(),
            "04 ac 02 03 6f 75 74 02 7b 7d "
            "0b ad 02 02 69 6e 07 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 05 01 01 66 01 76 "
            "05 ab 02 "
            "09 ad 02");
}

TEST_F(JournalTest, EndpointsWatermarksAndLowWaters) {
  journal_.Endpoint(kFirst, "sink", std::string_view("\0\1", 2));
  journal_.Watermark(kFirst, "in", 258);
  journal_.Watermark(kFirst, "in", kNoTime);
  journal_.LowWater(kFirst, 5, 128);
  EXPECT_EQ(TakeHex(),
            "06 04 73 69 6e 6b 02 00 01 "
            "07 02 69 6e 02 01 00 00 00 00 00 00 "
            "07 02 69 6e 00 00 00 00 00 00 00 80 "
            "03 05 00 00 00 00 00 00 00 80 01");
}

TEST_F(JournalTest, ASchemaIsWrittenOncePerPartitionAndAgainAfterTheBeginOfARound) {
  const std::string_view schema =
      "08 04 48 6f 73 74 11 02 "     // class Host, 17 bytes: two fields
      "03 63 70 75 01 01 00 "        // cpu, float, optional
      "04 6c 61 73 74 05 00 ac 02";  // last, array of 300 ints
  journal_.Class(kFirst, ClassId(0));
  journal_.Class(kFirst, ClassId(0));
  EXPECT_EQ(TakeHex(), schema);
  journal_.Class(kFirst, ClassId(0));
  journal_.Class(kSecond, ClassId(0));
  EXPECT_EQ(TakeHex(), schema);
  journal_.BeginRound(kFirst);
  journal_.Class(kFirst, ClassId(0));
  journal_.Class(kSecond, ClassId(0));
  const std::vector<wal::OwnedSection> sections = Take();
  ASSERT_EQ(sections.size(), 2u);
  EXPECT_EQ(sections[0].kind, wal::SectionKind::kCheckpointBegin);
  EXPECT_EQ(sections[1].partition, kFirst);
  EXPECT_EQ(Hex(sections[1].entries), schema);
}

TEST_F(JournalTest, AFurtherMarkOfTheChannelOfTheMarkBeforeLeavesTheChannelOut) {
  journal_.Applied(kFirst, 1, 5, 0x0102);
  journal_.Applied(kFirst, 1, 200, 0x0102);
  journal_.Applied(kFirst, 2, 6, 7);
  journal_.Applied(kFirst, 1, 7, 8);
  journal_.Confirmed(kFirst, 1);
  EXPECT_EQ(TakeHex(),
            "02 01 00 00 00 00 00 00 00 05 02 01 00 00 00 00 00 00 "  // channel 1
            "0c c8 01 02 01 00 00 00 00 00 00 "                       // likewise
            "02 02 00 00 00 00 00 00 00 06 07 00 00 00 00 00 00 00 "
            "02 01 00 00 00 00 00 00 00 07 08 00 00 00 00 00 00 00 "
            "05 01");
  // A section is read alone: its first mark names the channel.
  journal_.Applied(kFirst, 1, 8, 9);
  EXPECT_EQ(TakeHex(), "02 01 00 00 00 00 00 00 00 08 09 00 00 00 00 00 00 00");
}

TEST_F(JournalTest, SectionsAreNumberedFromTwoAndCarryTheTime) {
  EXPECT_TRUE(journal_.empty());
  for (uint64_t sequence = 2; sequence < 5; ++sequence) {
    Change(kSecond, "k", ChangeOp::kDelete, "");
    EXPECT_FALSE(journal_.empty());
    const std::vector<wal::OwnedSection> sections = Take();
    EXPECT_TRUE(journal_.empty());
    ASSERT_EQ(sections.size(), 1u);
    EXPECT_EQ(sections[0].partition, kSecond);
    EXPECT_EQ(sections[0].kind, wal::SectionKind::kData);
    EXPECT_EQ(sections[0].sequence, sequence);
    EXPECT_EQ(sections[0].now_ms, kNowMs);
  }
  Change(kFirst, "k", ChangeOp::kDelete, "");
  EXPECT_EQ(Take()[0].sequence, 2u);  // each partition has its own numbers
}

TEST_F(JournalTest, ARoundBeginsAndEndsInSectionsOfItsOwn) {
  journal_.SetEpoch(wal::Epoch(9));
  Change(kFirst, "k", ChangeOp::kDelete, "");
  journal_.BeginRound(kFirst);
  Change(kFirst, "k", ChangeOp::kDelete, "");
  journal_.Applied(kFirst, 1, 5, 6);
  journal_.EndRound(kFirst);
  const std::vector<wal::OwnedSection> sections = Take();
  using Kind = wal::SectionKind;
  ASSERT_EQ(sections.size(), 4u);
  const Kind kinds[] = {Kind::kData, Kind::kCheckpointBegin, Kind::kData, Kind::kCheckpointEnd};
  for (size_t i = 0; i < sections.size(); ++i) {
    EXPECT_EQ(sections[i].kind, kinds[i]) << i;
    EXPECT_EQ(sections[i].sequence, i + 2);
    EXPECT_EQ(sections[i].now_ms, kNowMs);
  }
  EXPECT_EQ(sections[1].entries, "");
  EXPECT_EQ(Hex(sections[2].entries),
            "01 01 6b 04 02 01 00 00 00 00 00 00 00 05 06 00 00 00 00 00 00 00");
  EXPECT_EQ(Hex(sections[3].entries),
            "09 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00");  // epoch 9, sequence 3
}

TEST_F(JournalTest, MemoryThatComesBackIsUsedAgainAndHoldsNothingOfBefore) {
  wal::LogRecord record;
  Change(kFirst, std::string(100, 'k'), ChangeOp::kDelete, "");
  journal_.TakeInto(record, kNowMs);
  const char* memory = record.pieces.data();
  journal_.Recycle(record);
  EXPECT_TRUE(record.sections.empty());
  EXPECT_TRUE(record.pieces.empty());
  journal_.TakeInto(record, kNowMs);  // what is gathered from here on has that memory
  Change(kSecond, "k", ChangeOp::kDelete, "");
  journal_.TakeInto(record, kNowMs);
  EXPECT_EQ(record.pieces.data(), memory);
  const std::vector<wal::OwnedSection> sections = wal::SectionsOf(record);
  ASSERT_EQ(sections.size(), 1u);
  EXPECT_EQ(Hex(sections[0].entries), "01 01 6b 04");
}

TEST_F(JournalTest, BytesCountsWhatHasBeenGathered) {
  EXPECT_EQ(journal_.bytes(), 0u);
  Change(kFirst, "k", ChangeOp::kDelete, "");
  EXPECT_EQ(journal_.bytes(), wal::kSectionHeaderBytes + 4);
  Change(kSecond, "k", ChangeOp::kDelete, "");
  journal_.Applied(kFirst, 1, 5, 6);
  EXPECT_EQ(journal_.bytes(), 2 * wal::kSectionHeaderBytes + 4 + 4 + 18);
  journal_.BeginRound(kFirst);
  EXPECT_EQ(journal_.bytes(), 3 * wal::kSectionHeaderBytes + 4 + 4 + 18);
  Take();
  EXPECT_EQ(journal_.bytes(), 0u);
}

}  // namespace
}  // namespace bettong::grid
