// The log's bytes on disk: docs/log-format.md in code. Nothing here opens a file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/named_type.h"

namespace bettong::wal {

using Epoch = NamedType<uint64_t, struct EpochTag>;  // how often the data directory has been opened
using Lsn = NamedType<uint64_t, struct LsnTag>;      // number of a record within (shard, epoch)
using SegmentNumber = NamedType<uint64_t, struct SegmentNumberTag>;
using NodeUuid = std::array<char, 16>;

inline constexpr uint32_t kFormatVersion = 1;
// What is said of another one, as found in a file.
std::string UnknownVersion(std::string_view found);

inline constexpr size_t kSegmentHeaderBytes = 4096;
inline constexpr size_t kRecordHeaderBytes = 40;
inline constexpr size_t kSectionHeaderBytes = 32;
inline constexpr size_t kDurableMarkBytes = 32;
inline constexpr size_t kRecordAlignment = 8;
inline constexpr uint64_t kSegmentBytesDefault = 32u << 20;
inline constexpr uint64_t kSegmentBytesMin = 64u << 10;
// Sections of one record, together. A shard cuts what it appends into records well below this.
inline constexpr uint64_t kRecordBytesMax = 1u << 30;

enum class SectionKind : uint8_t {
  kData = 0,
  kOpen = 1,             // a partition's first section in an epoch
  kCheckpointBegin = 2,  // of a round of the rolling checkpoint
  kCheckpointEnd = 3,
};

// What happened to one partition; counts as a whole or not at all. The entries are borrowed.
struct Section {
  PartitionId partition;
  SectionKind kind = SectionKind::kData;
  uint64_t sequence = 0;  // 1, 2, 3, ... within (partition, epoch)
  TimeMs now_ms = 0;
  std::string_view entries;
};

// The entries of an open section.
struct OpenEntry {
  Epoch continues;            // 0: the partition begins here
  uint64_t cut_sequence = 0;  // the last sequence of that epoch that counts
};
// The entries of a checkpoint's end.
struct CheckpointEndEntry {
  Epoch begin_epoch;
  uint64_t begin_sequence = 0;
};

struct SegmentHeader {
  NodeUuid node{};
  Epoch epoch;
  SegmentNumber number;
  uint64_t file_bytes = 0;
  Lsn first_lsn;              // 1: this segment begins the epoch
  uint32_t previous_crc = 0;  // of the record before the first; 0: there is none
  ShardId shard;
  // Where this log ended when the epoch began: the last record that counts of the epoch before.
  Lsn end_before;
};

struct RecordHeader {
  uint32_t crc = 0;
  uint32_t previous_crc = 0;
  uint32_t section_bytes = 0;
  Lsn lsn;
  Lsn durable_lsn;
  Epoch epoch;
};

// The contents of the file `durable`.
struct DurableMark {
  ShardId shard;
  Epoch epoch;
  Lsn lsn;
};

// Encoders append; decoders answer nullopt (or an error in words) for bytes that are not whole.
void EncodeSegmentHeader(const SegmentHeader& header, std::string& out);  // kSegmentHeaderBytes
struct SegmentHeaderResult {
  std::optional<SegmentHeader> header;
  std::string error;  // "not a log segment", "format version 7, this program knows 1", ...
};
SegmentHeaderResult DecodeSegmentHeader(std::string_view bytes);

// The header of a record whose sections are `parts`, one behind the other. Computes and returns its
// CRC, which the next record has as its `previous`.
uint32_t EncodeRecordHeader(const RecordHeader& header, std::span<const std::string_view> parts,
                            std::string& out);
// Only the magic and the numbers; the CRC is checked with the sections at hand.
std::optional<RecordHeader> DecodeRecordHeader(std::string_view bytes);
bool RecordCrcMatches(const RecordHeader& header, std::string_view header_bytes,
                      std::string_view sections);
inline uint64_t PaddedRecordBytes(uint64_t section_bytes) {
  return (kRecordHeaderBytes + section_bytes + kRecordAlignment - 1) / kRecordAlignment *
         kRecordAlignment;
}

void EncodeSectionHeader(const Section& section, std::string& out);
// Takes one section off the front of `in`; false: malformed.
bool DecodeSection(std::string_view& in, Section& section);

void EncodeOpen(const OpenEntry& entry, std::string& out);
bool DecodeOpen(std::string_view entries, OpenEntry& entry);
void EncodeCheckpointEnd(const CheckpointEndEntry& entry, std::string& out);
bool DecodeCheckpointEnd(std::string_view entries, CheckpointEndEntry& entry);

void EncodeDurableMark(const DurableMark& mark, std::string& out);
std::optional<DurableMark> DecodeDurableMark(std::string_view bytes);

// Names in the data directory and in a shard's.
inline constexpr std::string_view kNextSegmentName = "next.log";
inline constexpr std::string_view kLargeSegmentName = "large.log";
inline constexpr std::string_view kDurableName = "durable";
std::string ShardDirectoryName(ShardId shard);           // "shard-03"
std::string SegmentFileName(SegmentNumber number);       // "00000012.log"
std::string SpareSegmentFileName(SegmentNumber number);  // "00000012.spare"
std::optional<ShardId> ParseShardDirectoryName(std::string_view name);
std::optional<SegmentNumber> ParseSegmentFileName(std::string_view name);
std::optional<SegmentNumber> ParseSpareSegmentFileName(std::string_view name);

}  // namespace bettong::wal
