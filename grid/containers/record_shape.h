// A record as an element of a collection: scalars by name, stored one behind the other as one piece
// of bytes. (A record that is a field of an entity is fields of its row.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grid/containers/scalar.h"

namespace bettong::grid {

inline constexpr size_t kRecordFieldsMax = 64;

struct RecordShape {
  std::string name;  // of its class; says nothing of the bytes
  std::vector<std::pair<std::string, ScalarType>> fields;

  // Whether what is written as one can be read as the other.
  bool operator==(const RecordShape& other) const { return fields == other.fields; }

  // Empty, or what is wrong.
  std::string Check() const;
  // As it stands in a collection's spec. Decode leaves the reader malformed if it is no shape.
  void Encode(std::string& out) const;
  static RecordShape Decode(ByteReader& in);

  // Visits (field's name, type, value) of an element; false: the bytes are none.
  template <typename Visit>
  bool ForEach(std::string_view bytes, const Visit& visit) const {
    ByteReader in(bytes);
    for (const auto& [field, type] : fields) {
      const Scalar value = ReadScalar(type, in);
      if (!in.ok()) return false;
      visit(field, type, value);
    }
    return in.empty();
  }
  bool Fits(std::string_view bytes) const {
    return ForEach(bytes, [](const std::string&, ScalarType, const Scalar&) {});
  }
  void AppendJson(std::string_view bytes, std::string& out) const;
  void AppendTagged(std::string_view bytes, std::string& tagged) const;
};

}  // namespace bettong::grid
