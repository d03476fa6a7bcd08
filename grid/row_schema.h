// The layout of an entity's row: a packed struct of native fields, the truth of an entity's state.
// The same layout serves the committed row (inside the entry, shard-owned) and the working row
// (lane-owned while the entity is lent). All access is unaligned (LoadUnaligned/StoreUnaligned).
//
//   u16 class id | null bits, one per optional field | fields in declaration order
//
// int, float: 8 bytes; bool: 1; str, bytes: a 16-byte RowString; arrays: size * 8 bytes in place;
// containers: a pointer (grid/containers/container.h), which both rows share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "grid/containers/collection_spec.h"
#include "grid/containers/container.h"
#include "grid/containers/window_spec.h"
#include "grid/row_number.h"
#include "grid/row_string.h"

namespace bettong::grid {

inline constexpr size_t kRowFieldsMax = 512;
inline constexpr size_t kRowArrayMax = 4096;  // elements of one Array field
inline constexpr size_t kRowStringBytesMax = 64u << 20;

enum class FieldType : uint8_t {
  kInt,
  kFloat,
  kBool,
  kText,
  kBytes,
  kIntArray,
  kFloatArray,
  kWindow,
  kCollection,
  kTimers,
};
inline constexpr bool IsContainer(FieldType type) {
  return type == FieldType::kWindow || type == FieldType::kCollection || type == FieldType::kTimers;
}

struct FieldSchema {
  std::string name;
  FieldType type = FieldType::kInt;
  bool optional = false;
  bool hidden = false;        // the engine's own: no part of what clients are shown
  uint32_t array_size = 0;    // arrays only
  WindowSpec window;          // windows only
  CollectionSpec collection;  // collections only
  std::string default_value;  // encoded as in a change (EncodeField); empty with optional: null
  // Set by RowSchema::Finish:
  uint32_t offset = 0;                       // bytes from the row's start
  uint32_t null_bit = 0;                     // optional only: bit number in the null bits
  std::shared_ptr<const WindowShape> shape;  // windows only
};

inline constexpr bool IsFloat(FieldType type) {
  return type == FieldType::kFloat || type == FieldType::kFloatArray;
}

class RowSchema {
 public:
  // Computes offsets and checks the defaults. Empty string, or what is wrong with which field.
  std::string Finish();

  std::vector<FieldSchema> fields;  // hidden ones last
  // Those that clients are shown.
  std::span<const FieldSchema> shown() const { return std::span(fields).first(shown_); }

  size_t row_bytes() const { return row_bytes_; }
  bool has_strings() const { return has_strings_; }
  // Whether a row has memory elsewhere.
  bool has_heap() const { return has_strings_ || has_containers_; }
  bool has_containers() const { return has_containers_; }
  // Fields that want turns of their own: timers, windows that close.
  bool has_timed() const { return !timed_.empty(); }
  const std::vector<uint32_t>& timed() const { return timed_; }
  // Null: it has none.
  const FieldSchema* timers() const {
    return timers_ < 0 ? nullptr : &fields[static_cast<size_t>(timers_)];
  }
  const FieldSchema* Find(std::string_view name, size_t* index = nullptr) const;

  bool IsNull(const char* row, const FieldSchema& field) const {
    return field.optional &&
           (row[kNullBitsOffset + field.null_bit / 8] >> (field.null_bit % 8) & 1);
  }
  void SetNull(char* row, const FieldSchema& field, bool null) const;

  // Row life. Copy makes a copy into memory that holds nothing yet; it shares the containers.
  void InitDefaults(char* row, ClassId entity_class) const;  // without containers
  void MakeContainers(char* row) const;                      // those that are not there yet
  void Copy(char* to, const char* from) const;
  void Destroy(char* row) const;
  void DestroyCopy(char* row) const;
  // Containers on their way from one owner to the next, in the order of their fields.
  void GiveContainers(const char* row, std::vector<std::unique_ptr<Container>>& to) const;
  void TakeContainers(char* row, std::span<std::unique_ptr<Container>> from) const;
  // Memory elsewhere: of texts; and of containers, as they were last settled, which must not be
  // asked for while the lane may be at them.
  size_t StringBytes(const char* row) const;
  size_t ContainerBytes(const char* row) const;

  template <typename Visit>
  void ForEachContainer(const Visit& visit) const {
    if (!has_containers_) return;
    for (const FieldSchema& field : fields) {
      if (IsContainer(field.type)) visit(field);
    }
  }
  static Container* ContainerAt(const char* row, const FieldSchema& field) {
    return LoadUnaligned<Container*>(row + field.offset);
  }

  // One field as it stands in changes: '\0' for null, else '\1' + (int: zigzag varint | float: 8
  // bytes | bool: 1 byte | varint bytes); arrays: '\1' + varint n + n * (varint index, number);
  // containers: '\1' + bytes image, or in a delta '\2' + bytes operations.
  void EncodeField(const char* row, size_t index, std::string& out) const;
  // Applies one encoded field; false if the bytes are malformed. A container that is not there is
  // left alone.
  bool DecodeField(char* row, size_t index, ByteReader& in) const;
  // The whole row: every field in order.
  void EncodeRow(const char* row, std::string& out) const;
  bool DecodeRow(char* row, ByteReader& in) const;
  // A delta: varint count, then (varint field index, encoded field) each. `replay`: containers,
  // too, which otherwise have their changes already.
  bool ApplyDelta(char* row, ByteReader& in, bool replay = true) const;

  // An entry of a delta: what a turn did to a container.
  static void WriteOperations(size_t index, std::string_view operations, ByteWriter& delta);

  // What the encoded forms above depend on: varint count, then (bytes name, u8 type, u8 optional,
  // varint array size, of a window or a collection: bytes spec) each.
  void EncodeSchema(std::string& out) const;
  // Without defaults; nullopt if the bytes are malformed.
  static std::optional<RowSchema> DecodeSchema(std::string_view bytes);

  // A field as a Redis client sees it: ints and bools ("1"/"0") as digits, floats shortest, text as
  // it is, arrays as JSON lists; null is an empty string.
  void AppendText(const char* row, size_t index, std::string& out) const;
  // Parses a client's text into the encoded form; empty, or why not
  // ("value is not an integer or out of range"). Empty text is null to an optional field that is
  // neither text nor bytes.
  std::string ParseText(size_t index, std::string_view text, std::string& encoded) const;

  static constexpr size_t kNullBitsOffset = 2;
  static ClassId ClassOf(const char* row) { return ClassId(LoadUnaligned<uint16_t>(row)); }

 private:
  std::string CheckDefaults() const;

  size_t row_bytes_ = 0;
  size_t shown_ = 0;  // fields
  bool has_strings_ = false;
  bool has_containers_ = false;
  std::vector<uint32_t> timed_;
  int32_t timers_ = -1;  // the field
};

}  // namespace bettong::grid
