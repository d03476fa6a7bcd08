// EventDecoder, the part for lines that are not JSON.

#include <charconv>
#include <utility>

#include "base/json_text.h"
#include "base/number_text.h"
#include "ingest/event_decoder.h"
#include "ingest/frame_reader.h"

namespace bettong::ingest {
namespace {

using grid::EventFieldType;

constexpr std::string_view kSpace = " \t\r\n";

bool IsTextType(EventFieldType type) {
  return type == EventFieldType::kText || type == EventFieldType::kBytes;
}

void AppendFloatJson(double value, std::string& json) {
  const size_t begin = json.size();
  AppendFloat(value, json);
  if (json.find_first_of(".e", begin) == std::string::npos) json += ".0";
}

// An integer beyond an int64 has come as a float, and keeps its digits.
void AppendNumberJson(const LineField& field, std::string& json) {
  std::string_view digits = field.token;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  uint64_t integer = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), integer);
  const bool is_whole = parsed.ptr == digits.data() + digits.size() || *parsed.ptr == 'u';
  if (parsed.ec != std::errc() || !is_whole) return AppendFloatJson(field.value.real, json);
  char text[24];
  json.append(text, std::to_chars(text, text + sizeof(text), integer).ptr);
}

void AppendValueJson(const LineField& field, std::string& json) {
  switch (field.value.kind) {
    case PlainValue::Kind::kNull:
      json += "null";
      break;
    case PlainValue::Kind::kBool:
      json += field.value.boolean ? "true" : "false";
      break;
    case PlainValue::Kind::kInt:
      AppendInt(field.value.integer, json);
      break;
    case PlainValue::Kind::kFloat:
      AppendNumberJson(field, json);
      break;
    case PlainValue::Kind::kText:
      AppendJsonString(field.value.text, json);
      break;
  }
}

}  // namespace

LineReader::Step EventDecoder::SetFromReader(RecordFields& fields, LineReader& reader,
                                             std::string_view line) {
  LineField from;
  LineReader::Step step;
  int field = -1;
  while ((step = reader.Next(from)) == LineReader::Step::kField) {
    const std::optional<size_t> time_field = layout_.schema().time_field;
    const bool is_time = from.kind == LineField::Kind::kTime && time_field.has_value();
    field = is_time ? static_cast<int>(*time_field) : layout_.Find(from.name, field + 1);
    if (field < 0) continue;
    const DecodeStatus status = SetFromLine(fields, static_cast<size_t>(field), from);
    const bool beside = from.token.empty() && line.empty();
    NoteStatus(DecodeError{
        .status = status,
        .field = static_cast<uint16_t>(field),
        .beside = beside,
        .got_begin =
            from.token.empty() ? 0 : static_cast<uint32_t>(from.token.data() - line.data()),
        .got_size = static_cast<uint32_t>(from.token.size())});
  }
  return step;
}

// Its values have no tokens, and it is never malformed.
void EventDecoder::SetBeside(RecordFields& fields, LineReader& beside) {
  beside.Begin({}, 0);
  SetFromReader(fields, beside, {});
}

DecodeError EventDecoder::DecodeLine(LineReader& reader, std::string_view line, ByteBuffer& records,
                                     LineReader* beside) {
  if (is_unclassed()) return DecodeUnclassedLine(reader, records, beside);
  RecordFields fields(layout_, records);
  wrong_.clear();
  const LineReader::Step step = SetFromReader(fields, reader, line);
  DecodeError error = reader.error();
  if (step == LineReader::Step::kEnd) {
    if (beside != nullptr) SetBeside(fields, *beside);
    error = wrong_.empty() ? fields.Complete() : wrong_.front();
  }
  if (!error.ok()) fields.Abandon();
  return error;
}

DecodeStatus EventDecoder::SetFromLine(RecordFields& fields, size_t field, const LineField& from) {
  const grid::EventField& declared = layout_.schema().fields[field];
  const bool is_any = declared.type == EventFieldType::kAny;
  switch (from.kind) {
    case LineField::Kind::kCell:
      if (from.value.text.empty() && !declared.optional && !IsTextType(declared.type)) {
        return DecodeStatus::kOk;
      }
      return SetFromText(fields, field, from.value.text);
    case LineField::Kind::kTag:
      if (!is_any) return SetFromText(fields, field, from.value.text);
      break;
    case LineField::Kind::kValue:
    case LineField::Kind::kTime:
      break;
  }
  if (!is_any) return fields.Set(field, from.value, from.token);
  json_.clear();
  AppendValueJson(from, json_);
  return fields.Set(field, from.value, json_);
}

LineReader::Step EventDecoder::AppendMembers(LineReader& reader, bool first) {
  LineField from;
  LineReader::Step step;
  while ((step = reader.Next(from)) == LineReader::Step::kField) {
    if (!std::exchange(first, false)) json_.push_back(',');
    AppendJsonString(from.name, json_);
    json_.push_back(':');
    AppendValueJson(from, json_);
  }
  return step;
}

DecodeError EventDecoder::DecodeUnclassedLine(LineReader& reader, ByteBuffer& records,
                                              LineReader* beside) {
  json_.assign("{");
  if (AppendMembers(reader, true) == LineReader::Step::kMalformed) return reader.error();
  if (beside != nullptr) {
    beside->Begin({}, 0);
    AppendMembers(*beside, json_.size() == 1);
  }
  json_.push_back('}');
  const size_t size = json_.size();
  json_.append(kFramePaddingBytes, ' ');
  return DecodeUnclassed(std::string_view(json_).substr(0, size), records);
}

// The last value of a name counts: theirs stand behind the others.
DecodeError EventDecoder::DecodeUnclassedWith(std::string_view json, ByteBuffer& records,
                                              LineReader& beside) {
  const size_t close = json.find_last_not_of(kSpace);
  const size_t open = json.find_first_not_of(kSpace);
  if (close == std::string_view::npos || json[open] != '{' || json[close] != '}') {
    return DecodeUnclassed(json, records);  // which says what is wrong
  }
  json_.assign(json.substr(0, close));
  const bool empty = json.find_first_not_of(kSpace, open + 1) == close;
  beside.Begin({}, 0);
  AppendMembers(beside, empty);
  json_.push_back('}');
  const size_t size = json_.size();
  json_.append(kFramePaddingBytes, ' ');
  return DecodeUnclassed(std::string_view(json_).substr(0, size), records);
}

}  // namespace bettong::ingest
