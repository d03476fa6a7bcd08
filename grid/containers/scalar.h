// The elements of collections: what a Ring, List, Map, Set or Counter is made of, one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace bettong::grid {

enum class ScalarType : uint8_t {
  kNone,  // of a set: the value that its keys have
  kInt,
  kFloat,
  kBool,
  kText,
  kBytes,
  kRecord,  // as bytes; what they are, a RecordShape says
};

inline constexpr bool IsBytes(ScalarType type) { return type >= ScalarType::kText; }
std::string_view NameOf(ScalarType type);

// On its way into a container or out of it; `bytes` belong to somebody else.
struct Scalar {
  uint64_t raw = 0;        // int, float: as in a row; bool: 0 or 1
  std::string_view bytes;  // text, bytes
};

// A slot holds one of them: its number, or a RowString. Slots may be moved as bytes.
inline constexpr size_t SlotBytes(ScalarType type) {
  return type == ScalarType::kNone ? 0 : IsBytes(type) ? 16 : 8;
}
void InitSlot(char* at, ScalarType type, const Scalar& value);
Scalar LoadSlot(const char* at, ScalarType type);
void DestroySlot(char* at, ScalarType type);
size_t SlotHeapBytes(const char* at, ScalarType type);
// What counts for kCollectionBytesMax.
inline size_t ContentBytes(ScalarType type, const Scalar& value) {
  return SlotBytes(type) + value.bytes.size();
}

// Of one type: whether they are the same, bit by bit.
inline bool SameScalar(const Scalar& a, const Scalar& b) {
  return a.raw == b.raw && a.bytes == b.bytes;
}
uint64_t HashScalar(ScalarType type, const Scalar& value);

// As they stand in images and operations: int zigzag varint, float 8 bytes, bool 1 byte, else
// varint bytes.
void WriteScalar(ScalarType type, const Scalar& value, ByteWriter& out);
Scalar ReadScalar(ScalarType type, ByteReader& in);

void AppendScalarJson(ScalarType type, const Scalar& value, std::string& out);
// As an object's key: always a string.
void AppendKeyJson(ScalarType type, const Scalar& value, std::string& out);
void AppendScalarTagged(ScalarType type, const Scalar& value, std::string& tagged);

}  // namespace bettong::grid
