#include "ingest/record_fields.h"

#include <bit>
#include <cmath>

#include "base/check.h"
#include "ingest/json_document.h"

namespace bettong::ingest {
namespace {

using grid::EventFieldType;

bool IsTextType(EventFieldType type) {
  return type == EventFieldType::kText || type == EventFieldType::kBytes;
}

// An integer literal that did not fit came as a float.
DecodeStatus WrongNumber(std::string_view token) {
  return token.find_first_of(".eE") == std::string_view::npos ? DecodeStatus::kOutOfRange
                                                              : DecodeStatus::kWrongType;
}

}  // namespace

RecordLayout::RecordLayout(StreamId stream, const grid::EventSchema& schema)
    : stream_(stream),
      schema_(&schema),
      size_(schema.fields.size()),
      all_bits_(schema.fields.size() < 64 ? (1ull << schema.fields.size()) - 1 : ~0ull) {
  BETTONG_CHECK(schema.fields.size() <= grid::kEventFieldsMax);
  for (const grid::EventField& field : schema.fields) defaults_.push_back(ParseDefault(field));
}

RecordLayout::Default RecordLayout::ParseDefault(const grid::EventField& field) {
  Default parsed;
  if (field.default_json.empty()) {
    parsed.present = !field.required;  // null
    return parsed;
  }
  JsonDocument document;
  JsonValue root;
  parsed.present = document.ParseCopy(field.default_json, root) == nullptr;
  parsed.token = field.default_json;
  if (parsed.present && !root.nested) {
    parsed.value = root.scalar;
    parsed.text = root.scalar.text;
  }
  return parsed;
}

int RecordLayout::Find(std::string_view name, int likely) const {
  const auto& fields = schema_->fields;
  const auto first = static_cast<size_t>(likely);
  if (first < fields.size() && fields[first].name == name) return likely;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

FieldForm RecordLayout::FormOf(int field) const {
  if (field < 0) return FieldForm::kUndeclared;
  const auto index = static_cast<size_t>(field);
  switch (schema_->fields[index].type) {
    case EventFieldType::kText:
    case EventFieldType::kBytes:
      return FieldForm::kText;
    case EventFieldType::kInt:
      return schema_->time_field == index ? FieldForm::kTime : FieldForm::kInt;
    case EventFieldType::kFloat:
      return schema_->time_field == index ? FieldForm::kOther : FieldForm::kFloat;
    case EventFieldType::kBool:
    case EventFieldType::kList:
    case EventFieldType::kObject:
    case EventFieldType::kAny:
      break;
  }
  return FieldForm::kOther;
}

DecodeStatus RecordFields::Set(size_t field, const PlainValue& value, std::string_view token) {
  const EventFieldType type = layout_.schema().fields[field].type;
  if (type == EventFieldType::kAny && value.kind != PlainValue::Kind::kNull) {
    SetJson(field, token);
    return DecodeStatus::kOk;
  }
  switch (value.kind) {
    case PlainValue::Kind::kNull:
      return SetNull(field);
    case PlainValue::Kind::kBool:
      if (type != EventFieldType::kBool) return DecodeStatus::kWrongType;
      builder_.SetBool(field, value.boolean);
      return DecodeStatus::kOk;
    case PlainValue::Kind::kInt:
      if (type == EventFieldType::kInt) {
        builder_.SetInt(field, value.integer);
      } else if (type == EventFieldType::kFloat) {
        builder_.SetFloat(field, static_cast<double>(value.integer));
      } else {
        return DecodeStatus::kWrongType;
      }
      return SetTime(field, value);
    case PlainValue::Kind::kFloat:
      if (type == EventFieldType::kInt) return WrongNumber(token);
      if (type != EventFieldType::kFloat) return DecodeStatus::kWrongType;
      if (std::isinf(value.real)) return DecodeStatus::kOutOfRange;
      builder_.SetFloat(field, value.real);
      return SetTime(field, value);
    case PlainValue::Kind::kText:
      if (!IsTextType(type)) return DecodeStatus::kWrongType;
      builder_.SetBytes(field, value.text);
      return DecodeStatus::kOk;
  }
  return DecodeStatus::kWrongType;
}

DecodeStatus RecordFields::SetNested(size_t field, std::string_view token) {
  const EventFieldType type = layout_.schema().fields[field].type;
  const EventFieldType fits = token[0] == '[' ? EventFieldType::kList : EventFieldType::kObject;
  if (type != fits && type != EventFieldType::kAny) return DecodeStatus::kWrongType;
  SetJson(field, token);
  return DecodeStatus::kOk;
}

DecodeError RecordFields::CompleteWithDefaults() {
  uint64_t missing = layout_.all_bits_ & ~builder_.known_bits();
  while (missing != 0) {
    const auto field = static_cast<size_t>(std::countr_zero(missing));
    missing &= missing - 1;
    const RecordLayout::Default& fallback = layout_.defaults_[field];
    DecodeStatus status = DecodeStatus::kMissingField;
    if (fallback.present) {
      const bool nested =
          !fallback.token.empty() && (fallback.token[0] == '[' || fallback.token[0] == '{');
      PlainValue value = fallback.value;
      if (value.kind == PlainValue::Kind::kText) value.text = fallback.text;
      if (nested) {
        status = SetNested(field, fallback.token);
      } else if (value.kind == PlainValue::Kind::kNull) {
        builder_.SetNull(field);
        status = DecodeStatus::kOk;
      } else {
        status = Set(field, value, fallback.token);
      }
    }
    if (status != DecodeStatus::kOk) {
      return DecodeError{.status = status, .field = static_cast<uint16_t>(field)};
    }
  }
  builder_.Finish();
  return DecodeError{};
}

DecodeStatus RecordFields::SetNull(size_t field) {
  const grid::EventField& declared = layout_.schema().fields[field];
  if (!declared.optional && declared.type != EventFieldType::kAny) return DecodeStatus::kNull;
  builder_.SetNull(field);
  if (layout_.schema().time_field == field) builder_.SetTime(kNoTime);
  return DecodeStatus::kOk;
}

DecodeStatus RecordFields::SetTime(size_t field, const PlainValue& value) {
  if (layout_.schema().time_field != field) return DecodeStatus::kOk;
  TimeMs time_ms = 0;
  if (value.kind == PlainValue::Kind::kInt) {
    time_ms = value.integer;
  } else {
    if (!(std::abs(value.real) <= static_cast<double>(kEventTimeMsMax)))
      return DecodeStatus::kTimeOutOfRange;
    if (std::trunc(value.real) != value.real) return DecodeStatus::kNotWholeMs;
    time_ms = static_cast<TimeMs>(value.real);
  }
  if (time_ms < -kEventTimeMsMax || time_ms > kEventTimeMsMax) return DecodeStatus::kTimeOutOfRange;
  builder_.SetTime(time_ms);
  return DecodeStatus::kOk;
}

// JSON text in a record is on one line, so that it can be part of a JSON line later. Inside of JSON
// a line break can only be white space between tokens.
void RecordFields::SetJson(size_t field, std::string_view token) {
  const bool one_line_already =
      token.find('\n') == std::string_view::npos && token.find('\r') == std::string_view::npos;
  if (one_line_already) {
    builder_.SetBytes(field, token);
    return;
  }
  std::string one_line(token);
  for (char& c : one_line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  builder_.SetBytes(field, one_line);
}

}  // namespace bettong::ingest
