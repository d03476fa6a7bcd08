#include "grid/containers/record_shape.h"

#include <absl/strings/str_cat.h>

#include "base/json_text.h"
#include "grid/tagged.h"

namespace bettong::grid {

std::string RecordShape::Check() const {
  if (fields.empty() || fields.size() > kRecordFieldsMax) {
    return absl::StrCat("a record has 1 to ", kRecordFieldsMax, " fields, not ", fields.size());
  }
  for (const auto& [field, type] : fields) {
    if (type == ScalarType::kNone || type == ScalarType::kRecord) {
      return absl::StrCat("the field '", field, "' of a record is no scalar");
    }
  }
  return "";
}

void RecordShape::Encode(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Bytes(name);
  bytes.Varint(fields.size());
  for (const auto& [field, type] : fields) bytes.Bytes(field), bytes.Fixed(type);
}

RecordShape RecordShape::Decode(ByteReader& in) {
  RecordShape shape;
  shape.name = in.Bytes();
  const uint64_t count = in.Varint();
  if (count > kRecordFieldsMax) in.SetMalformed();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    std::string field(in.Bytes());
    shape.fields.emplace_back(std::move(field), in.Fixed<ScalarType>());
    if (shape.fields.back().second > ScalarType::kBytes) in.SetMalformed();
  }
  return shape;
}

void RecordShape::AppendJson(std::string_view bytes, std::string& out) const {
  char before = '{';
  ForEach(bytes, [&](const std::string& field, ScalarType type, const Scalar& value) {
    out.push_back(std::exchange(before, ','));
    AppendJsonString(field, out);
    out.push_back(':');
    AppendScalarJson(type, value, out);
  });
  out.push_back('}');
}

void RecordShape::AppendTagged(std::string_view bytes, std::string& tagged) const {
  TaggedWriter(tagged).Map(fields.size());
  ForEach(bytes, [&](const std::string& field, ScalarType type, const Scalar& value) {
    TaggedWriter(tagged).Text(field);
    AppendScalarTagged(type, value, tagged);
  });
}

}  // namespace bettong::grid
