#include "grid/row_tagged.h"

#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "grid/tagged.h"

namespace bettong::grid {
namespace {

bool HasValue(const FieldSchema& field) {
  return field.type != FieldType::kWindow && field.type != FieldType::kTimers;
}

void AppendNumber(bool is_float, const char* at, TaggedWriter& out) {
  if (is_float) {
    out.Float(LoadUnaligned<double>(at));
  } else {
    out.Int(LoadUnaligned<int64_t>(at));
  }
}

void AppendField(const FieldSchema& field, const char* row, std::string& tagged) {
  TaggedWriter out(tagged);
  const char* at = row + field.offset;
  switch (field.type) {
    case FieldType::kInt:
    case FieldType::kFloat:
      return AppendNumber(IsFloat(field.type), at, out);
    case FieldType::kBool:
      return out.Bool(*at != 0);
    case FieldType::kText:
      return out.Text(RowString::Get(at));
    case FieldType::kBytes:
      return out.Bytes(RowString::Get(at));
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
      out.List(field.array_size);
      for (size_t i = 0; i < field.array_size; ++i) {
        AppendNumber(IsFloat(field.type), at + 8 * i, out);
      }
      return;
    case FieldType::kCollection:
      RowSchema::ContainerAt(row, field)->AppendPage(0, SIZE_MAX, tagged);
      return;
    case FieldType::kWindow:
    case FieldType::kTimers:
      return;
  }
}

}  // namespace

void AppendRowTagged(const RowSchema& schema, const char* row, std::string& tagged) {
  TaggedWriter out(tagged);
  out.Map(
      static_cast<uint64_t>(std::count_if(schema.fields.begin(), schema.fields.end(), HasValue)));
  for (const FieldSchema& field : schema.fields) {
    if (!HasValue(field)) continue;
    out.Text(field.name);
    if (schema.IsNull(row, field)) {
      out.Nil();
    } else {
      AppendField(field, row, tagged);
    }
  }
}

}  // namespace bettong::grid
