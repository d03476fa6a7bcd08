#include "wal/format.h"

#include <absl/strings/escaping.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace bettong::wal {
namespace {

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString({bytes.data(), bytes.size()});
}

NodeUuid SomeNode() {
  NodeUuid node;
  for (size_t i = 0; i < node.size(); ++i) node[i] = static_cast<char>(0x10 + i);
  return node;
}

SegmentHeader SomeHeader() {
  return {.node = SomeNode(),
          .epoch = Epoch(3),
          .number = SegmentNumber(12),
          .file_bytes = 65536,
          .first_lsn = Lsn(7),
          .previous_crc = 0x01020304,
          .shard = ShardId(5),
          .end_before = Lsn(9)};
}

TEST(LogFormat, SegmentHeaderHasTheBytesOfTheSpecification) {
  std::string out;
  EncodeSegmentHeader(SomeHeader(), out);
  ASSERT_EQ(out.size(), kSegmentHeaderBytes);
  EXPECT_EQ(Hex(out.substr(0, 80)),
            "424554544f4e474c"                  // BETTONGL
            "01000000"                          // format version
            "e8a2a3e8"                          // CRC of what follows
            "101112131415161718191a1b1c1d1e1f"  // node
            "0300000000000000"                  // epoch
            "0c00000000000000"                  // number
            "0000010000000000"                  // bytes of the file
            "0700000000000000"                  // first lsn
            "04030201"                          // previous
            "05000000"                          // shard
            "0900000000000000");                // end of the epoch before
  EXPECT_EQ(out.substr(80), std::string(kSegmentHeaderBytes - 80, '\0'));

  const SegmentHeaderResult read = DecodeSegmentHeader(out);
  ASSERT_TRUE(read.header) << read.error;
  std::string again;
  EncodeSegmentHeader(*read.header, again);
  EXPECT_EQ(again, out);
}

TEST(LogFormat, EveryDamagedBitOfASegmentHeaderIsSeen) {
  std::string out;
  EncodeSegmentHeader(SomeHeader(), out);
  for (size_t bit = 0; bit < 80 * 8; ++bit) {
    std::string damaged = out;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeSegmentHeader(damaged).header) << bit;
  }
  EXPECT_EQ(DecodeSegmentHeader(out.substr(0, 4095)).error, "not a log segment");
}

TEST(LogFormat, AnotherVersionIsNamed) {
  std::string out;
  EncodeSegmentHeader(SomeHeader(), out);
  out[8] = 7;
  EXPECT_EQ(DecodeSegmentHeader(out).error,
            "format version 7, this program knows 1: written by another version of Bettong "
            "(start that one), or damaged");
}

TEST(LogFormat, RecordHasTheBytesOfTheSpecification) {
  std::string sections;
  EncodeSectionHeader({.partition = PartitionId(0x0102),
                       .kind = SectionKind::kCheckpointEnd,
                       .sequence = 4,
                       .now_ms = 1000,
                       .entries = "abc"},
                      sections);
  sections += "abc";
  EXPECT_EQ(Hex(sections),
            "03000000"          // bytes of the entries
            "0201"              // partition
            "03"                // kind
            "00"                //
            "0400000000000000"  // sequence
            "e803000000000000"  // now
            "0000000000000000"  //
            "616263");
  const std::string_view parts[] = {std::string_view(sections).substr(0, 32),
                                    std::string_view(sections).substr(32)};
  std::string header;
  const uint32_t crc = EncodeRecordHeader({.previous_crc = 0x0a0b0c0d,
                                           .section_bytes = 35,
                                           .lsn = Lsn(7),
                                           .durable_lsn = Lsn(6),
                                           .epoch = Epoch(3)},
                                          parts, header);
  EXPECT_EQ(Hex(header),
            "42524543"            // BREC
            "b59a54b0"            // CRC of what follows, and the sections
            "0d0c0b0a"            // previous
            "23000000"            // bytes of the sections
            "0700000000000000"    // lsn
            "0600000000000000"    // durable
            "0300000000000000");  // epoch
  EXPECT_EQ(crc, Crc32c(header.substr(8) + sections));
  EXPECT_EQ(PaddedRecordBytes(35), 80u);
  EXPECT_EQ(PaddedRecordBytes(0), 40u);

  const std::optional<RecordHeader> read = DecodeRecordHeader(header);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->lsn, Lsn(7));
  EXPECT_EQ(read->durable_lsn, Lsn(6));
  EXPECT_EQ(read->epoch, Epoch(3));
  EXPECT_EQ(read->section_bytes, 35u);
  EXPECT_TRUE(RecordCrcMatches(*read, header, sections));
  sections[34] ^= 1;
  EXPECT_FALSE(RecordCrcMatches(*read, header, sections));
}

TEST(LogFormat, SectionsComeOffTheFrontOneByOne) {
  std::string bytes;
  for (uint64_t sequence = 1; sequence <= 2; ++sequence) {
    EncodeSectionHeader({.partition = PartitionId(9), .sequence = sequence, .entries = "xy"},
                        bytes);
    bytes += "xy";
  }
  std::string_view rest = bytes;
  Section section;
  ASSERT_TRUE(DecodeSection(rest, section));
  EXPECT_EQ(section.sequence, 1u);
  ASSERT_TRUE(DecodeSection(rest, section));
  EXPECT_EQ(section.sequence, 2u);
  EXPECT_EQ(section.partition, PartitionId(9));
  EXPECT_EQ(section.entries, "xy");
  EXPECT_TRUE(rest.empty());
  for (size_t size = 0; size < 34; ++size) {
    std::string_view cut = std::string_view(bytes).substr(0, size);
    EXPECT_FALSE(DecodeSection(cut, section)) << size;
  }
  for (size_t unknown : {6, 7, 24}) {
    std::string other = bytes;
    other[unknown] = 9;
    std::string_view in = other;
    EXPECT_FALSE(DecodeSection(in, section)) << unknown;
  }
}

TEST(LogFormat, OpenAndCheckpointEndHaveTheBytesOfTheSpecification) {
  std::string open, checkpoint;
  EncodeOpen({.continues = Epoch(3), .cut_sequence = 0x0405}, open);
  EXPECT_EQ(Hex(open), "03000000000000000504000000000000");
  EncodeCheckpointEnd({.begin_epoch = Epoch(2), .begin_sequence = 6}, checkpoint);
  EXPECT_EQ(Hex(checkpoint), "02000000000000000600000000000000");
  OpenEntry open_read;
  ASSERT_TRUE(DecodeOpen(open, open_read));
  EXPECT_EQ(open_read.continues, Epoch(3));
  EXPECT_EQ(open_read.cut_sequence, 0x0405u);
  EXPECT_FALSE(DecodeOpen(open + "x", open_read));
  CheckpointEndEntry end_read;
  ASSERT_TRUE(DecodeCheckpointEnd(checkpoint, end_read));
  EXPECT_EQ(end_read.begin_epoch, Epoch(2));
  EXPECT_EQ(end_read.begin_sequence, 6u);
  EXPECT_FALSE(DecodeCheckpointEnd(checkpoint.substr(1), end_read));
}

TEST(LogFormat, DurableMarkHasTheBytesOfTheSpecification) {
  std::string mark;
  EncodeDurableMark({.shard = ShardId(5), .epoch = Epoch(3), .lsn = Lsn(0x1234)}, mark);
  EXPECT_EQ(Hex(mark),
            "12759b4a"          // CRC of what follows
            "05000000"          // shard
            "0300000000000000"  // epoch
            "3412000000000000"  // lsn
            "0000000000000000");
  const std::optional<DurableMark> read = DecodeDurableMark(mark);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->shard, ShardId(5));
  EXPECT_EQ(read->epoch, Epoch(3));
  EXPECT_EQ(read->lsn, Lsn(0x1234));
  for (size_t bit = 0; bit < mark.size() * 8; ++bit) {
    std::string damaged = mark;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeDurableMark(damaged)) << bit;
  }
}

TEST(LogFormat, NamesAreReadOnlyAsTheyAreWritten) {
  EXPECT_EQ(ShardDirectoryName(ShardId(3)), "shard-03");
  EXPECT_EQ(SegmentFileName(SegmentNumber(12)), "00000012.log");
  EXPECT_EQ(SegmentFileName(SegmentNumber(1234567890)), "1234567890.log");
  EXPECT_EQ(SpareSegmentFileName(SegmentNumber(12)), "00000012.spare");
  EXPECT_EQ(ParseShardDirectoryName("shard-03"), ShardId(3));
  EXPECT_EQ(ParseSegmentFileName("00000012.log"), SegmentNumber(12));
  EXPECT_EQ(ParseSegmentFileName("1234567890.log"), SegmentNumber(1234567890));
  EXPECT_EQ(ParseSpareSegmentFileName("00000012.spare"), SegmentNumber(12));
  for (const char* name : {"shard-3", "shard-003", "shard-64", "shard-", "shard-0x", "Shard-03"}) {
    EXPECT_FALSE(ParseShardDirectoryName(name)) << name;
  }
  for (const char* name : {"next.log", "12.log", "00000000.log", "000000012.log", "00000012.log~",
                           "-0000012.log", "00000012.spare"}) {
    EXPECT_FALSE(ParseSegmentFileName(name)) << name;
  }
}

}  // namespace
}  // namespace bettong::wal
