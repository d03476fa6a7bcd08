#include "ingest/line_testing.h"

#include "base/number_text.h"

namespace bettong::ingest {
namespace {

std::string ValueText(const PlainValue& value) {
  std::string text;
  switch (value.kind) {
    case PlainValue::Kind::kNull:
      return "null";
    case PlainValue::Kind::kBool:
      return value.boolean ? "true" : "false";
    case PlainValue::Kind::kInt:
      AppendInt(value.integer, text);
      return text;
    case PlainValue::Kind::kFloat:
      AppendFloat(value.real, text);
      return text + "f";
    case PlainValue::Kind::kText:
      return "\"" + std::string(value.text) + "\"";
  }
  return text;
}

}  // namespace

std::string ReadLine(LineReader& reader, std::string_view line) {
  if (!reader.Begin(line, kLineTestNow)) return "-";
  std::string seen;
  LineField field;
  LineReader::Step step;
  while ((step = reader.Next(field)) == LineReader::Step::kField) {
    if (!seen.empty()) seen += " ";
    seen += field.name;
    seen += "=~:@"[static_cast<size_t>(field.kind)];
    seen += ValueText(field.value);
  }
  if (step == LineReader::Step::kEnd) return seen;
  return DescribeDecodeError(reader.error(), grid::EventSchema(), line);
}

}  // namespace bettong::ingest
