#include "grid/event.h"

#include <cmath>

#include <absl/strings/str_cat.h>

#include "base/json_text.h"
#include "base/number_text.h"
#include "grid/catalog.h"

namespace bettong::grid {

std::string DescribeLate(const EventRecord& event) {
  return absl::StrCat("the event is late by ", event.watermark_ms - event.time_ms,
                      " ms: the stream's watermark is at ", event.watermark_ms);
}

std::string RenderEventJson(const EventRecord& record, const EventSchema& schema) {
  if (schema.name.empty()) return std::string(record.Bytes(0));
  std::string out = "{";
  for (size_t i = 0; i < schema.fields.size() && i < record.slot_count; ++i) {
    if (i > 0) out.push_back(',');
    AppendJsonString(schema.fields[i].name, out);
    out.push_back(':');
    if (record.IsNull(i)) {
      out += "null";
      continue;
    }
    switch (schema.fields[i].type) {
      case EventFieldType::kInt:
        AppendInt(record.Int(i), out);
        break;
      case EventFieldType::kFloat:
        AppendJsonFloat(record.Float(i), out);
        break;
      case EventFieldType::kBool:
        out += record.Bool(i) ? "true" : "false";
        break;
      case EventFieldType::kText:
      case EventFieldType::kBytes:
        AppendJsonString(record.Bytes(i), out);
        break;
      case EventFieldType::kList:
      case EventFieldType::kObject:
      case EventFieldType::kAny:
        out.append(record.Bytes(i));
        break;
    }
  }
  out.push_back('}');
  return out;
}

std::string RenderRowJson(const RowSchema& schema, const char* row) {
  std::string out = "{";
  for (size_t i = 0; i < schema.shown().size(); ++i) {
    const FieldSchema& field = schema.fields[i];
    if (i > 0) out.push_back(',');
    AppendJsonString(field.name, out);
    out.push_back(':');
    if (schema.IsNull(row, field)) {
      out += "null";
      continue;
    }
    switch (field.type) {
      case FieldType::kText:
      case FieldType::kBytes:
        AppendJsonString(RowString::Get(row + field.offset), out);
        break;
      case FieldType::kBool:
        out += row[field.offset] ? "true" : "false";
        break;
      case FieldType::kFloat:
        AppendJsonFloat(LoadUnaligned<double>(row + field.offset), out);
        break;
      case FieldType::kFloatArray:
        out.push_back('[');
        for (size_t k = 0; k < field.array_size; ++k) {
          if (k > 0) out.push_back(',');
          AppendJsonFloat(LoadUnaligned<double>(row + field.offset + 8 * k), out);
        }
        out.push_back(']');
        break;
      case FieldType::kInt:
      case FieldType::kIntArray:
      case FieldType::kWindow:
      case FieldType::kCollection:
      case FieldType::kTimers:
        schema.AppendText(row, i, out);
        break;
    }
  }
  out.push_back('}');
  return out;
}

}  // namespace bettong::grid
