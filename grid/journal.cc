#include "grid/journal.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace bettong::grid {
namespace {

// Memory that is kept for the sections to come: of a section, and how many.
constexpr size_t kSpareBytesMax = 256u << 10;
constexpr size_t kSpareCountMax = 256;
// A string's own, without any from the heap.
constexpr size_t kNoMemoryBytes = std::string().capacity();

// The last eight bytes, where keys differ most.
uint64_t EndOf(std::string_view key) {
  uint64_t end = 0;
  const size_t size = std::min(key.size(), sizeof(end));
  std::memcpy(&end, key.data() + key.size() - size, size);
  return end;
}

}  // namespace

Journal::Journal(const Catalog& catalog, uint32_t partitions) : partitions_(partitions) {
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
  if (!partition.dirty) {
    partition.dirty = true;
    dirty_.push_back(id);
    if (partition.entries.capacity() <= kNoMemoryBytes) partition.entries = TakeSpare();
  }
  return partition;
}

std::string Journal::TakeSpare() {
  if (spare_.empty()) return {};
  std::string spare = std::move(spare_.back());
  spare_.pop_back();
  return spare;
}

std::string& Journal::Entries(PartitionId id, LogEntryKind kind) {
  std::string& entries = Touch(id).entries;
  entries.push_back(static_cast<char>(kind));
  return entries;
}

std::string& Journal::BeginChange(PartitionId id, std::string_view key) {
  Partition& partition = Touch(id);
  std::string& entries = partition.entries;
  ByteWriter bytes(entries);
  const uint64_t end = EndOf(key);
  if (partition.key_size == key.size() && partition.key_end == end &&
      std::string_view(entries).substr(partition.key_at, partition.key_size) == key) {
    bytes.Fixed(LogEntryKind::kMore);
  } else {
    bytes.Fixed(LogEntryKind::kChange);
    bytes.Bytes(key);
    partition.key_at = entries.size() - key.size();
    partition.key_size = key.size();
    partition.key_end = end;
  }
  return entries;
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
  Touch(id).marks.push_back(Mark{channel, position, target});
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

// Marks of one channel that follow each other share its name.
void Journal::WriteMarks(Partition& partition) {
  for (size_t begin = 0; begin < partition.marks.size();) {
    const uint64_t channel = partition.marks[begin].channel;
    size_t end = begin;
    while (end < partition.marks.size() && partition.marks[end].channel == channel) ++end;
    ByteWriter bytes(partition.entries);
    bytes.Fixed(LogEntryKind::kApplied);
    bytes.Fixed(channel);
    bytes.Varint(end - begin);
    for (; begin < end; ++begin) {
      bytes.Varint(partition.marks[begin].position);
      bytes.Fixed(partition.marks[begin].target);
    }
  }
  partition.marks.clear();
}

void Journal::Close(PartitionId id, wal::SectionKind kind) {
  Partition& partition = partitions_[id.value()];
  WriteMarks(partition);
  wal::LogSection& section = closed_.emplace_back();
  section.partition = id;
  section.kind = kind;
  section.sequence = ++partition.sequence;
  section.entries = std::exchange(partition.entries, {});
  bytes_closed_ += section.entries.size() + wal::kSectionHeaderBytes;
  partition.key_size = SIZE_MAX;
  partition.dirty = false;
}

void Journal::BeginRound(PartitionId id) {
  Partition& partition = partitions_[id.value()];
  if (partition.dirty) {
    std::erase(dirty_, id);
    Close(id, wal::SectionKind::kData);
  }
  Close(id, wal::SectionKind::kCheckpointBegin);
  partition.round_begin = partition.sequence;
  partition.classes.clear();
}

void Journal::EndRound(PartitionId id) {
  Partition& partition = partitions_[id.value()];
  if (partition.dirty) {
    std::erase(dirty_, id);
    Close(id, wal::SectionKind::kData);
  }
  wal::EncodeCheckpointEnd({.begin_epoch = epoch_, .begin_sequence = partition.round_begin},
                           partition.entries);
  Close(id, wal::SectionKind::kCheckpointEnd);
}

size_t Journal::bytes() const {
  size_t bytes = bytes_closed_;
  for (PartitionId id : dirty_) {
    const Partition& partition = partitions_[id.value()];
    bytes += partition.entries.size() + partition.marks.size() * sizeof(Mark);
  }
  return bytes;
}

void Journal::TakeInto(wal::LogRecord& record, TimeMs now_ms) {
  for (PartitionId id : dirty_) Close(id, wal::SectionKind::kData);
  dirty_.clear();
  record.sections.swap(closed_);
  closed_.clear();
  bytes_closed_ = 0;
  for (wal::LogSection& section : record.sections) section.now_ms = now_ms;
}

void Journal::Recycle(wal::LogRecord& record) {
  for (wal::LogSection& section : record.sections) {
    if (spare_.size() >= kSpareCountMax) break;
    const size_t capacity = section.entries.capacity();
    if (capacity <= kNoMemoryBytes || capacity > kSpareBytesMax) continue;
    section.entries.clear();
    spare_.push_back(std::move(section.entries));
  }
  record.sections.clear();
}

}  // namespace bettong::grid
