// EventDecoder, the part for entries that clients add: field-value pairs of text.

#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "base/json_text.h"
#include "ingest/event_decoder.h"
#include "ingest/frame_reader.h"

namespace bettong::ingest {
namespace {

template <typename T>
std::errc ParseNumber(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return error;
  return end == text.data() + text.size() ? std::errc() : std::errc::invalid_argument;
}

DecodeStatus StatusOf(std::errc error) {
  return error == std::errc::result_out_of_range ? DecodeStatus::kOutOfRange
                                                 : DecodeStatus::kWrongType;
}

}  // namespace

DecodeError EventDecoder::DecodeFields(std::string_view fields_payload, ByteBuffer& records) {
  if (is_unclassed()) return DecodeUnclassedFields(fields_payload, records);
  RecordFields fields(layout_, records);
  ByteReader in(fields_payload);
  int field = -1;
  wrong_.clear();
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
    const std::string_view name = in.Bytes();
    const std::string_view text = in.Bytes();
    field = layout_.Find(name, field + 1);
    if (field < 0 || !in.ok()) continue;
    const DecodeStatus status = SetFromText(fields, static_cast<size_t>(field), text);
    NoteStatus(DecodeError{.status = status,
                           .field = static_cast<uint16_t>(field),
                           .got_begin = static_cast<uint32_t>(text.data() - fields_payload.data()),
                           .got_size = static_cast<uint32_t>(text.size())});
  }
  DecodeError error = wrong_.empty() ? fields.Complete() : wrong_.front();
  if (!error.ok()) fields.Abandon();
  return error;
}

DecodeStatus EventDecoder::SetFromText(RecordFields& fields, size_t field, std::string_view text) {
  const grid::EventField& declared = layout_.schema().fields[field];
  PlainValue value;  // null
  const bool is_text =
      declared.type == grid::EventFieldType::kText || declared.type == grid::EventFieldType::kBytes;
  if (text.empty() && declared.optional && !is_text) return fields.Set(field, value, text);
  switch (declared.type) {
    case grid::EventFieldType::kInt: {
      value.kind = PlainValue::Kind::kInt;
      if (auto error = ParseNumber(text, value.integer); error != std::errc()) {
        return StatusOf(error);
      }
      break;
    }
    case grid::EventFieldType::kFloat: {
      value.kind = PlainValue::Kind::kFloat;
      if (auto error = ParseNumber(text, value.real); error != std::errc()) return StatusOf(error);
      if (!std::isfinite(value.real)) return DecodeStatus::kOutOfRange;
      break;
    }
    case grid::EventFieldType::kBool:
      value.kind = PlainValue::Kind::kBool;
      value.boolean = text == "1" || text == "true";
      if (!value.boolean && text != "0" && text != "false") return DecodeStatus::kWrongType;
      break;
    case grid::EventFieldType::kText:
      if (!simdjson::validate_utf8(text)) return DecodeStatus::kBadText;
      [[fallthrough]];
    case grid::EventFieldType::kBytes:
      value.kind = PlainValue::Kind::kText;
      value.text = text;
      break;
    case grid::EventFieldType::kList:
    case grid::EventFieldType::kObject:
    case grid::EventFieldType::kAny: {
      JsonValue root;
      if (document_.ParseCopy(text, root) != nullptr) return DecodeStatus::kBadJson;
      if (!root.nested) return fields.Set(field, root.scalar, root.token);
      const size_t begin = root.token.find_first_not_of(" \t\r\n");
      return fields.SetNested(field, root.token.substr(begin));
    }
  }
  return fields.Set(field, value, text);
}

DecodeError EventDecoder::DecodeUnclassedFields(std::string_view fields_payload,
                                                ByteBuffer& records) {
  json_.clear();
  AppendFieldsJson(fields_payload, json_);
  const size_t size = json_.size();
  json_.append(kFramePaddingBytes, ' ');
  return DecodeUnclassed(std::string_view(json_).substr(0, size), records);
}

void AppendFieldsJson(std::string_view fields_payload, std::string& json) {
  json.push_back('{');
  bool first = true;
  ByteReader in(fields_payload);
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
    const std::string_view name = in.Bytes();
    const std::string_view text = in.Bytes();
    if (!in.ok()) break;
    if (!std::exchange(first, false)) json.push_back(',');
    AppendJsonString(name, json);
    json.push_back(':');
    AppendJsonString(text, json);
  }
  json.push_back('}');
}

}  // namespace bettong::ingest
