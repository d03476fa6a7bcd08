// A decoded event as it travels from ingest to the compute host: one contiguous, 8-byte aligned
// record, built by the decoder outside of any interpreter, read in place everywhere else.
//
//   EventRecord | 8-byte slots, one per field of the event class | variable bytes, padded to 8
//
// Slots: int64, double, bool as 0/1; text, bytes and JSON as offset (u32, from the record's start)
// and length (u32). Events without a class have one slot: the event's JSON text.
#pragma once

#include <bit>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace bettong::grid {

// Of the key that an event is for, without the class's prefix.
inline constexpr size_t kEventKeyBytesMax = 64u << 10;

struct EventRecord {
  uint32_t size_bytes = 0;  // of the whole record, a multiple of 8
  StreamId stream;
  uint16_t slot_count = 0;
  TimeMs time_ms = kNoTime;  // event time
  // Of its stream, as the door saw it with this event: what the event's turns go by.
  TimeMs watermark_ms = kNoTime;
  uint64_t null_bits = 0;  // bit i: slot i is null

  // Older than its stream's watermark.
  bool IsLate() const {
    return watermark_ms != kNoTime && time_ms != kNoTime && time_ms < watermark_ms;
  }

  bool IsNull(size_t slot) const { return null_bits >> slot & 1; }
  int64_t Int(size_t slot) const { return LoadUnaligned<int64_t>(SlotAt(slot)); }
  double Float(size_t slot) const { return LoadUnaligned<double>(SlotAt(slot)); }
  bool Bool(size_t slot) const { return Int(slot) != 0; }
  std::string_view Bytes(size_t slot) const {
    auto offset = LoadUnaligned<uint32_t>(SlotAt(slot));
    auto size = LoadUnaligned<uint32_t>(SlotAt(slot) + 4);
    return {reinterpret_cast<const char*>(this) + offset, size};
  }

 private:
  const char* SlotAt(size_t slot) const {
    return reinterpret_cast<const char*>(this + 1) + slot * 8;
  }
};
static_assert(sizeof(EventRecord) == 32);

struct EventSchema;
class RowSchema;

// What a letter says of an event that is.
std::string DescribeLate(const EventRecord& event);

// Builds one record at the end of a buffer. Fields may be set in any order; the last value of a
// field counts, and one that is never set is zero.
class EventRecordBuilder {
 public:
  EventRecordBuilder(ByteBuffer& buffer, StreamId stream, size_t slot_count)
      : buffer_(buffer), start_(buffer.size()) {
    record_ = buffer_.Extend(sizeof(EventRecord) + slot_count * 8);
    auto* header = new (record_) EventRecord;
    header->stream = stream;
    header->slot_count = static_cast<uint16_t>(slot_count);
  }

  void SetTime(TimeMs time_ms) { record()->time_ms = time_ms; }
  void SetNull(size_t slot) {
    set_bits_ &= ~(1ull << slot);
    null_bits_ |= 1ull << slot;
  }
  void SetInt(size_t slot, int64_t value) { Set(slot, value); }
  void SetFloat(size_t slot, double value) { Set(slot, value); }
  void SetBool(size_t slot, bool value) { Set<int64_t>(slot, value ? 1 : 0); }
  void SetBytes(size_t slot, std::string_view value) {
    const uint64_t offset = buffer_.size() - start_;
    buffer_.Append(value);
    record_ = buffer_.data() + start_;
    Set(slot, offset | static_cast<uint64_t>(value.size()) << 32);
  }

  // Bit i: slot i has a value, or is null.
  uint64_t known_bits() const { return set_bits_ | null_bits_; }

  // Pads and closes the record. Its offset in the buffer is a multiple of 8.
  void Finish() {
    StoreUnaligned(buffer_.Extend(8), uint64_t{0});
    buffer_.Truncate((buffer_.size() - 8 + 7) / 8 * 8);
    record_ = buffer_.data() + start_;
    record()->size_bytes = static_cast<uint32_t>(buffer_.size() - start_);
    record()->null_bits = null_bits_;
    if (std::popcount(set_bits_) != record()->slot_count) ZeroUnset();
  }
  // Takes the half-built record out of the buffer again.
  void Abandon() { buffer_.Truncate(start_); }
  size_t offset() const { return start_; }

 private:
  EventRecord* record() { return reinterpret_cast<EventRecord*>(record_); }
  char* SlotAt(size_t slot) { return record_ + sizeof(EventRecord) + slot * 8; }
  template <typename T>
  void Set(size_t slot, T value) {
    static_assert(sizeof(T) == 8);
    StoreUnaligned(SlotAt(slot), value);
    set_bits_ |= 1ull << slot;
    null_bits_ &= ~(1ull << slot);
  }
  void ZeroUnset() {
    for (size_t slot = 0; slot < record()->slot_count; ++slot) {
      if ((set_bits_ >> slot & 1) == 0) StoreUnaligned(SlotAt(slot), uint64_t{0});
    }
  }

  ByteBuffer& buffer_;
  const size_t start_;
  char* record_;  // in the buffer
  uint64_t set_bits_ = 0;
  uint64_t null_bits_ = 0;
};

// The event as compact JSON, for dead letters: declared fields only, in declaration order.
std::string RenderEventJson(const EventRecord& record, const EventSchema& schema);

// An entity's row as compact JSON, likewise.
std::string RenderRowJson(const RowSchema& schema, const char* row);

}  // namespace bettong::grid
