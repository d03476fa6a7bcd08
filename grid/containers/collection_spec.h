// What a collection field of a class is: a Ring, List, Map, Set or Counter, of which elements, and
// how many it may hold.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "grid/containers/record_shape.h"
#include "grid/containers/scalar.h"

namespace bettong::grid {

// Elements of one collection; a class may say less.
inline constexpr uint32_t kCollectionElementsMax = 1u << 20;
// Of one text or bytes in it.
inline constexpr size_t kElementBytesMax = 1u << 20;
// Of all its keys and values: 8 for a number, 16 and its length for a text. An image in the log is
// in one piece, and so is bounded too.
inline constexpr size_t kCollectionBytesMax = 16u << 20;
// Operations that one turn may record of one collection.
inline constexpr size_t kTurnOperationBytesMax = 64u << 20;

enum class CollectionKind : uint8_t { kRing = 1, kList, kMap, kSet, kCounter };

struct CollectionSpec {
  CollectionKind kind = CollectionKind::kList;
  ScalarType key = ScalarType::kNone;     // of a Map, a Set (its elements) and a Counter
  ScalarType value = ScalarType::kFloat;  // of all but a Set
  uint32_t elements_max = kCollectionElementsMax;
  std::shared_ptr<const RecordShape> record;  // of values that are records

  bool operator==(const CollectionSpec& other) const {
    return Reads(other) && elements_max == other.elements_max;
  }

  bool is_sequence() const {
    return kind == CollectionKind::kRing || kind == CollectionKind::kList;
  }
  // Empty, or what is wrong.
  std::string Check() const;
  // As the class declares it: "Map[str, int]".
  std::string Text() const;
  // Whether what was written of `other` can be read as this: all but the bound is the same.
  bool Reads(const CollectionSpec& other) const {
    return kind == other.kind && key == other.key && value == other.value &&
           (record == other.record ||
            (record != nullptr && other.record != nullptr && *record == *other.record));
  }

  // A value as it stands in images and operations; of a record that is none, the reader is
  // malformed.
  Scalar ReadValue(ByteReader& in) const {
    const Scalar read = ReadScalar(value, in);
    if (record != nullptr && in.ok() && !record->Fits(read.bytes)) in.SetMalformed();
    return read;
  }
  void AppendValueJson(const Scalar& of, std::string& out) const {
    record != nullptr ? record->AppendJson(of.bytes, out) : AppendScalarJson(value, of, out);
  }
  void AppendValueTagged(const Scalar& of, std::string& tagged) const {
    record != nullptr ? record->AppendTagged(of.bytes, tagged)
                      : AppendScalarTagged(value, of, tagged);
  }
  // As it stands in a class's logged schema.
  void Encode(std::string& out) const;
  static std::optional<CollectionSpec> Decode(std::string_view bytes);
};

}  // namespace bettong::grid
