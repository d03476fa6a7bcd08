// One key and its value as they lie in a slab slot. An entry never moves while its key lives; it is
// read and written by its shard's thread only.
//
//   Entry (8 bytes) | key | value ...                       | deadline (last 8 bytes, if
//   kHasDeadline)
//
// A key longer than kInlineKeyMax, and a value that does not fit, lie in a heap block, with a
// pointer in their place. Every slot has room for at least 16 bytes of value, so that a pointer and
// a deadline always fit. An entity that is lent has its loan number in value_size.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "grid/value.h"

namespace bettong::grid {

enum EntryFlag : uint8_t {
  kHasDeadline = 1 << 0,
  kFiled = 1 << 1,         // the wheel holds a record of this entry's generation
  kLent = 1 << 2,          // entities: a loan is outstanding, loan() is valid
  kPhantom = 1 << 3,       // entities: lent, but no turn has created it yet; invisible
  kValueOutside = 1 << 4,  // the value is a pointer
  kKeyOutside = 1 << 5,
  kBigHash = 1 << 6,  // hashes: the pointer is a BigHash
  kOwnTtl = 1 << 7,   // entities: a TTL of its own is in the shard's side table
};

struct Entry {
  static constexpr size_t kSizeStep = 4;  // of slots, in bytes
  static constexpr size_t kInlineKeyMax = 255;
  static constexpr size_t kInlineValueMin = 16;
  static constexpr size_t kPointerBytes = 8;
  static constexpr size_t kDeadlineBytes = 8;

  ValueType type = ValueType::kNone;  // kNone: the slot is free
  uint8_t flags = 0;
  uint8_t size_class = 0;   // slot bytes / kSizeStep
  uint8_t generation = 0;   // of the wheel's record; survives the slot's reuse
  uint16_t key_size = 0;    // 0xffff with kKeyOutside: the block knows
  uint16_t value_size = 0;  // of an inline value

  size_t slot_bytes() const { return size_class * kSizeStep; }
  bool has(EntryFlag flag) const { return flags & flag; }
  void set(EntryFlag flag) { flags = static_cast<uint8_t>(flags | flag); }
  void clear(EntryFlag flag) { flags = static_cast<uint8_t>(flags & ~flag); }

  std::string_view key() const;

  char* value() { return data() + inline_key_bytes(); }
  const char* value() const { return const_cast<Entry*>(this)->value(); }
  // Bytes that an inline value may take as things stand.
  size_t value_capacity() const {
    return slot_bytes() - sizeof(Entry) - inline_key_bytes() -
           (has(kHasDeadline) ? kDeadlineBytes : 0);
  }
  template <typename T>
  T* outside() const {
    return reinterpret_cast<T*>(LoadUnaligned<uint64_t>(value()));
  }
  void set_outside(void* block) { StoreUnaligned(value(), reinterpret_cast<uint64_t>(block)); }

  TimeMs deadline_ms() const {
    return has(kHasDeadline) ? LoadUnaligned<TimeMs>(deadline_at()) : kNeverExpires;
  }
  // The room must be free: see value_capacity().
  void set_deadline(TimeMs deadline_ms) {
    if (deadline_ms == kNeverExpires) {
      clear(kHasDeadline);
    } else {
      set(kHasDeadline);
      StoreUnaligned(deadline_at(), deadline_ms);
    }
  }

  // Entities: the number of the loan while kLent, if it is below kLoanElsewhere. Takes the place of
  // value_size, which entities have no use for.
  static constexpr uint16_t kLoanElsewhere = 0xffff;
  uint16_t loan() const { return value_size; }
  void set_loan(uint16_t number) { value_size = number; }

 private:
  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  size_t inline_key_bytes() const { return has(kKeyOutside) ? kPointerBytes : key_size; }
  char* deadline_at() const {
    return const_cast<char*>(reinterpret_cast<const char*>(this)) + slot_bytes() - kDeadlineBytes;
  }
};
static_assert(sizeof(Entry) == 8);

// A byte string on the heap: long keys, long values, wide rows.
struct Block {
  uint32_t size = 0;
  uint32_t capacity = 0;

  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  std::string_view view() { return {bytes(), size}; }

  static Block* Make(std::string_view bytes, size_t capacity = 0);
  static void Free(Block* block);
  static size_t HeapBytes(const Block* block) { return sizeof(Block) + block->capacity + 16; }
};

inline std::string_view Entry::key() const {
  if (has(kKeyOutside)) return LoadUnaligned<Block*>(data())->view();
  return {data(), key_size};
}

}  // namespace bettong::grid
