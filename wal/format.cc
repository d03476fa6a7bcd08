#include "wal/format.h"

#include <absl/strings/str_cat.h>

#include <charconv>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace bettong::wal {
namespace {

constexpr std::string_view kSegmentMagic = "BETTONGL";
constexpr std::string_view kRecordMagic = "BREC";
constexpr size_t kSegmentFieldsBegin = 16, kSegmentFieldsEnd = 80;  // what the CRC covers
constexpr size_t kRecordCrcBegin = 8;
constexpr size_t kNumberDigitsMin = 8;
constexpr std::string_view kSegmentSuffix = ".log", kSpareSuffix = ".spare",
                           kShardPrefix = "shard-";

template <typename Id>
void Put(ByteWriter& out, Id id) {
  out.Fixed(id.value());
}

template <typename Id>
Id Take(ByteReader& in) {
  return Id(in.Fixed<typename Id::Value>());
}

std::string PaddedNumber(uint64_t number, size_t digits_min) {
  std::string digits = absl::StrCat(number);
  if (digits.size() < digits_min) digits.insert(0, digits_min - digits.size(), '0');
  return digits;
}

// Only what PaddedNumber makes.
std::optional<uint64_t> ParsePaddedNumber(std::string_view digits, size_t digits_min) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || PaddedNumber(number, digits_min) != digits) return std::nullopt;
  return number;
}

std::optional<SegmentNumber> ParseNumberedName(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  const std::optional<uint64_t> number = ParsePaddedNumber(name, kNumberDigitsMin);
  if (!number || *number == 0) return std::nullopt;
  return SegmentNumber(*number);
}

}  // namespace

void EncodeSegmentHeader(const SegmentHeader& header, std::string& out) {
  std::string fields;
  ByteWriter writer(fields);
  writer.Raw({header.node.data(), header.node.size()});
  Put(writer, header.epoch);
  Put(writer, header.number);
  writer.Fixed(header.file_bytes);
  Put(writer, header.first_lsn);
  writer.Fixed(header.previous_crc);
  writer.Fixed<uint32_t>(header.shard.value());
  Put(writer, header.end_before);

  const size_t begin = out.size();
  ByteWriter whole(out);
  whole.Raw(kSegmentMagic);
  whole.Fixed(kFormatVersion);
  whole.Fixed(Crc32c(fields));
  whole.Raw(fields);
  out.resize(begin + kSegmentHeaderBytes);
}

std::string UnknownVersion(std::string_view found) {
  return absl::StrCat("format version ", std::string(found), ", this program knows ",
                      kFormatVersion,
                      ": written by another version of Bettong (start that one), or damaged");
}

SegmentHeaderResult DecodeSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kSegmentMagic)) {
    return {.error = "not a log segment"};
  }
  ByteReader reader(bytes.substr(kSegmentMagic.size()));
  if (const auto version = reader.Fixed<uint32_t>(); version != kFormatVersion) {
    return {.error = UnknownVersion(absl::StrCat(version))};
  }
  const auto crc = reader.Fixed<uint32_t>();
  if (crc != Crc32c(bytes.substr(kSegmentFieldsBegin, kSegmentFieldsEnd - kSegmentFieldsBegin))) {
    return {.error = "its header is damaged (checksum)"};
  }
  SegmentHeader header;
  reader.Raw(header.node.size()).copy(header.node.data(), header.node.size());
  header.epoch = Take<Epoch>(reader);
  header.number = Take<SegmentNumber>(reader);
  header.file_bytes = reader.Fixed<uint64_t>();
  header.first_lsn = Take<Lsn>(reader);
  header.previous_crc = reader.Fixed<uint32_t>();
  const auto shard = reader.Fixed<uint32_t>();
  header.end_before = Take<Lsn>(reader);
  header.shard = ShardId(static_cast<uint16_t>(shard));
  if (shard >= kShardsMax || header.epoch.value() == 0 || header.first_lsn.value() == 0 ||
      header.file_bytes < kSegmentHeaderBytes) {
    return {.error = "its header makes no sense"};
  }
  return {.header = header};
}

uint32_t EncodeRecordHeader(const RecordHeader& header, std::span<const std::string_view> parts,
                            std::string& out) {
  const size_t begin = out.size();
  ByteWriter writer(out);
  writer.Raw(kRecordMagic);
  writer.Fixed<uint32_t>(0);
  writer.Fixed(header.previous_crc);
  writer.Fixed(header.section_bytes);
  Put(writer, header.lsn);
  Put(writer, header.durable_lsn);
  Put(writer, header.epoch);
  uint32_t crc = Crc32c(std::string_view(out).substr(begin + kRecordCrcBegin));
  for (std::string_view part : parts) crc = Crc32c(part, crc);
  StoreUnaligned(out.data() + begin + kRecordMagic.size(), crc);
  return crc;
}

std::optional<RecordHeader> DecodeRecordHeader(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes || !bytes.starts_with(kRecordMagic)) return std::nullopt;
  ByteReader reader(bytes.substr(kRecordMagic.size()));
  RecordHeader header;
  header.crc = reader.Fixed<uint32_t>();
  header.previous_crc = reader.Fixed<uint32_t>();
  header.section_bytes = reader.Fixed<uint32_t>();
  header.lsn = Take<Lsn>(reader);
  header.durable_lsn = Take<Lsn>(reader);
  header.epoch = Take<Epoch>(reader);
  return header;
}

bool RecordCrcMatches(const RecordHeader& header, std::string_view header_bytes,
                      std::string_view sections) {
  const std::string_view fields =
      header_bytes.substr(kRecordCrcBegin, kRecordHeaderBytes - kRecordCrcBegin);
  return Crc32c(sections, Crc32c(fields)) == header.crc;
}

void EncodeSectionHeader(const Section& section, std::string& out) {
  ByteWriter writer(out);
  writer.Fixed(static_cast<uint32_t>(section.entries.size()));
  Put(writer, section.partition);
  writer.Fixed(static_cast<uint8_t>(section.kind));
  writer.Fixed<uint8_t>(0);
  writer.Fixed(section.sequence);
  writer.Fixed<int64_t>(section.now_ms);
  writer.Fixed<uint64_t>(0);
}

bool DecodeSection(std::string_view& in, Section& section) {
  ByteReader reader(in);
  const auto entry_bytes = reader.Fixed<uint32_t>();
  section.partition = Take<PartitionId>(reader);
  const auto kind = reader.Fixed<uint8_t>();
  const auto zero = reader.Fixed<uint8_t>();
  section.sequence = reader.Fixed<uint64_t>();
  section.now_ms = reader.Fixed<int64_t>();
  const auto zeros = reader.Fixed<uint64_t>();
  section.entries = reader.Raw(entry_bytes);
  if (!reader.ok() || zero != 0 || zeros != 0 || section.sequence == 0 ||
      kind > static_cast<uint8_t>(SectionKind::kCheckpointEnd)) {
    return false;
  }
  section.kind = static_cast<SectionKind>(kind);
  in = reader.rest();
  return true;
}

void EncodeOpen(const OpenEntry& entry, std::string& out) {
  ByteWriter writer(out);
  Put(writer, entry.continues);
  writer.Fixed(entry.cut_sequence);
}

bool DecodeOpen(std::string_view entries, OpenEntry& entry) {
  ByteReader reader(entries);
  entry.continues = Take<Epoch>(reader);
  entry.cut_sequence = reader.Fixed<uint64_t>();
  return reader.ok() && reader.empty();
}

void EncodeCheckpointEnd(const CheckpointEndEntry& entry, std::string& out) {
  ByteWriter writer(out);
  Put(writer, entry.begin_epoch);
  writer.Fixed(entry.begin_sequence);
}

bool DecodeCheckpointEnd(std::string_view entries, CheckpointEndEntry& entry) {
  ByteReader reader(entries);
  entry.begin_epoch = Take<Epoch>(reader);
  entry.begin_sequence = reader.Fixed<uint64_t>();
  return reader.ok() && reader.empty();
}

void EncodeDurableMark(const DurableMark& mark, std::string& out) {
  std::string fields;
  ByteWriter writer(fields);
  writer.Fixed<uint32_t>(mark.shard.value());
  Put(writer, mark.epoch);
  Put(writer, mark.lsn);
  writer.Fixed<uint64_t>(0);
  ByteWriter whole(out);
  whole.Fixed(Crc32c(fields));
  whole.Raw(fields);
}

std::optional<DurableMark> DecodeDurableMark(std::string_view bytes) {
  if (bytes.size() != kDurableMarkBytes) return std::nullopt;
  ByteReader reader(bytes);
  if (reader.Fixed<uint32_t>() != Crc32c(bytes.substr(sizeof(uint32_t)))) return std::nullopt;
  const auto shard = reader.Fixed<uint32_t>();
  if (shard >= kShardsMax) return std::nullopt;
  DurableMark mark{.shard = ShardId(static_cast<uint16_t>(shard))};
  mark.epoch = Take<Epoch>(reader);
  mark.lsn = Take<Lsn>(reader);
  return mark;
}

std::string ShardDirectoryName(ShardId shard) {
  return std::string(kShardPrefix) + PaddedNumber(shard.value(), 2);
}

std::string SegmentFileName(SegmentNumber number) {
  return PaddedNumber(number.value(), kNumberDigitsMin) + std::string(kSegmentSuffix);
}

std::string SpareSegmentFileName(SegmentNumber number) {
  return PaddedNumber(number.value(), kNumberDigitsMin) + std::string(kSpareSuffix);
}

std::optional<ShardId> ParseShardDirectoryName(std::string_view name) {
  if (!name.starts_with(kShardPrefix)) return std::nullopt;
  const std::optional<uint64_t> number = ParsePaddedNumber(name.substr(kShardPrefix.size()), 2);
  if (!number || *number >= kShardsMax) return std::nullopt;
  return ShardId(static_cast<uint16_t>(*number));
}

std::optional<SegmentNumber> ParseSegmentFileName(std::string_view name) {
  return ParseNumberedName(name, kSegmentSuffix);
}

std::optional<SegmentNumber> ParseSpareSegmentFileName(std::string_view name) {
  return ParseNumberedName(name, kSpareSuffix);
}

}  // namespace bettong::wal
