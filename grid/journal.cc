#include "grid/journal.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace bettong::grid {
namespace {

// Memory that is kept for the records to come.
constexpr size_t kSpareBytesMax = 4u << 20;

// The last eight bytes, where keys differ most.
uint64_t EndOf(std::string_view key) {
  uint64_t end = 0;
  const size_t size = std::min(key.size(), sizeof(end));
  std::memcpy(&end, key.data() + key.size() - size, size);
  return end;
}

}  // namespace

Journal::Journal(const Catalog& catalog, uint32_t partitions) : partitions_(partitions) {
  EncodeSchemas(catalog);
}

void Journal::OnCatalogChanged(const Catalog& catalog) {
  const std::vector<std::string> before = std::exchange(schemas_, {});
  EncodeSchemas(catalog);
  for (Partition& partition : partitions_) {
    if (partition.classes.empty()) continue;
    partition.classes.resize(schemas_.size());
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i] != schemas_[i]) partition.classes[i] = 0;
    }
  }
}

void Journal::EncodeSchemas(const Catalog& catalog) {
  for (const ClassSchema& entity_class : catalog.classes) {
    ByteWriter bytes(schemas_.emplace_back());
    bytes.Bytes(entity_class.name);
    std::string schema;
    entity_class.row.EncodeSchema(schema);
    bytes.Bytes(schema);
  }
}

Journal::Partition& Journal::Touch(PartitionId id) {
  Partition& partition = partitions_[id.value()];
  if (partition.section == kNoSection) Open(id, wal::SectionKind::kData);
  if (partition.section != piece_section_) BeginPiece(partition.section);
  return partition;
}

std::string& Journal::Entries(PartitionId id, LogEntryKind kind) {
  Touch(id);
  pieces_.push_back(static_cast<char>(kind));
  return pieces_;
}

std::string& Journal::BeginChange(PartitionId id, std::string_view key) {
  Partition& partition = Touch(id);
  ByteWriter bytes(pieces_);
  const uint64_t end = EndOf(key);
  if (partition.key_size == key.size() && partition.key_end == end &&
      std::string_view(pieces_).substr(partition.key_at, partition.key_size) == key) {
    bytes.Fixed(LogEntryKind::kMore);
  } else {
    bytes.Fixed(LogEntryKind::kChange);
    bytes.Bytes(key);
    partition.key_at = pieces_.size() - key.size();
    partition.key_size = key.size();
    partition.key_end = end;
  }
  return pieces_;
}

std::string& Journal::Change(PartitionId id, std::string_view key, ChangeOp op) {
  std::string& entries = BeginChange(id, key);
  ByteWriter(entries).Fixed(op);
  return entries;
}

void Journal::Changes(PartitionId id, ClassId entity_class, std::string_view key,
                      std::string_view changes) {
  Class(id, entity_class);
  BeginChange(id, key).append(changes);
}

void Journal::Class(PartitionId id, ClassId entity_class) {
  Partition& partition = partitions_[id.value()];
  if (partition.classes.empty()) partition.classes.resize(schemas_.size());
  if (std::exchange(partition.classes[entity_class.value()], uint8_t{1}) != 0) return;
  Entries(id, LogEntryKind::kClass).append(schemas_[entity_class.value()]);
}

void Journal::Applied(PartitionId id, uint64_t channel, uint64_t position, uint64_t target) {
  Partition& partition = Touch(id);
  ByteWriter bytes(pieces_);
  if (partition.has_channel && partition.channel == channel) {
    bytes.Fixed(LogEntryKind::kAppliedMore);
  } else {
    bytes.Fixed(LogEntryKind::kApplied);
    bytes.Fixed(channel);
    partition.has_channel = true;
    partition.channel = channel;
  }
  bytes.Varint(position);
  bytes.Fixed(target);
}

void Journal::LowWater(PartitionId id, uint64_t channel, uint64_t position) {
  ByteWriter bytes(Entries(id, LogEntryKind::kLowWater));
  bytes.Fixed(channel);
  bytes.Varint(position);
}

void Journal::Output(PartitionId id, uint64_t sequence, std::string_view stream,
                     std::string_view json) {
  ByteWriter bytes(Entries(id, LogEntryKind::kOutput));
  bytes.Varint(sequence);
  bytes.Bytes(stream);
  bytes.Bytes(json);
}

void Journal::Input(PartitionId id, uint64_t sequence, std::string_view stream,
                    StreamEntryId entry_id, std::string_view fields_payload) {
  ByteWriter bytes(Entries(id, LogEntryKind::kInput));
  bytes.Varint(sequence);
  bytes.Bytes(stream);
  bytes.Fixed(entry_id.ms);
  bytes.Fixed(entry_id.sequence);
  bytes.Bytes(fields_payload);
}

void Journal::Confirmed(PartitionId id, uint64_t sequence) {
  ByteWriter(Entries(id, LogEntryKind::kConfirmed)).Varint(sequence);
}

void Journal::Endpoint(PartitionId id, std::string_view name, std::string_view state) {
  ByteWriter bytes(Entries(id, LogEntryKind::kEndpoint));
  bytes.Bytes(name);
  bytes.Bytes(state);
}

void Journal::Watermark(PartitionId id, std::string_view stream, TimeMs watermark_ms) {
  ByteWriter bytes(Entries(id, LogEntryKind::kWatermark));
  bytes.Bytes(stream);
  bytes.Fixed(watermark_ms);
}

void Journal::Sequences(PartitionId id, uint64_t last_output) {
  ByteWriter(Entries(id, LogEntryKind::kSequences)).Varint(last_output);
}

// --- sections

void Journal::Open(PartitionId id, wal::SectionKind kind) {
  Partition& partition = partitions_[id.value()];
  partition.section = static_cast<uint32_t>(sections_.size());
  partition.key_size = SIZE_MAX;
  partition.has_channel = false;
  sections_.push_back({.partition = id, .kind = kind, .sequence = ++partition.sequence});
}

void Journal::Close(PartitionId id) { partitions_[id.value()].section = kNoSection; }

void Journal::BeginPiece(uint32_t section) {
  EndPiece();
  piece_section_ = section;
  piece_at_ = pieces_.size();
  ++piece_count_;
  ByteWriter(pieces_).Fixed(wal::LogRecord::PieceHeader{.section = section});
}

// The size of a piece is known only now.
void Journal::EndPiece() {
  if (piece_section_ == kNoSection) return;
  wal::LogRecord::PieceHeader header{.section = piece_section_};
  const size_t bytes = pieces_.size() - piece_at_ - sizeof(header);
  BETTONG_CHECK(bytes <= UINT32_MAX);
  header.bytes = static_cast<uint32_t>(bytes);
  StoreUnaligned(pieces_.data() + piece_at_, header);
  piece_section_ = kNoSection;
}

void Journal::BeginRound(PartitionId id) {
  Open(id, wal::SectionKind::kCheckpointBegin);
  Close(id);
  Partition& partition = partitions_[id.value()];
  partition.round_begin = partition.sequence;
  partition.classes.clear();
}

void Journal::EndRound(PartitionId id) {
  Open(id, wal::SectionKind::kCheckpointEnd);
  Touch(id);
  wal::EncodeCheckpointEnd(
      {.begin_epoch = epoch_, .begin_sequence = partitions_[id.value()].round_begin}, pieces_);
  Close(id);
}

void Journal::TakeInto(wal::LogRecord& record, TimeMs now_ms) {
  EndPiece();
  for (const wal::LogRecord::SectionHead& section : sections_) Close(section.partition);
  record.now_ms = now_ms;
  record.sections.clear();
  record.sections.swap(sections_);
  record.pieces = std::exchange(pieces_, std::exchange(spare_, {}));
  piece_count_ = 0;
}

void Journal::Recycle(wal::LogRecord& record) {
  record.sections.clear();
  record.pieces.clear();
  if (record.pieces.capacity() <= kSpareBytesMax) spare_.swap(record.pieces);
  record.pieces = {};
}

}  // namespace bettong::grid
