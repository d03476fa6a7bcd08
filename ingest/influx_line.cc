#include "ingest/influx_line.h"

#include <charconv>

#include "ingest/record_fields.h"

namespace bettong::ingest {
namespace {

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

TimeMs FloorDivide(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

// Event times are within kEventTimeMsMax, so that a multiple cannot overflow.
TimeMs ToMs(int64_t time, TimePrecision precision) {
  constexpr int64_t kTooLarge = kEventTimeMsMax + 1;
  switch (precision) {
    case TimePrecision::kNs:
      return FloorDivide(time, 1'000'000);
    case TimePrecision::kUs:
      return FloorDivide(time, 1'000);
    case TimePrecision::kMs:
      return time;
    case TimePrecision::kS:
      return time > kEventTimeMsMax || time < -kEventTimeMsMax ? kTooLarge : time * 1'000;
  }
  return kTooLarge;
}

bool ReadBool(std::string_view text, bool& value) {
  value = text == "t" || text == "T" || text == "true" || text == "True" || text == "TRUE";
  return value || text == "f" || text == "F" || text == "false" || text == "False" ||
         text == "FALSE";
}

// An integer behind which there is an 'i' or a 'u'.
const char* ParseInteger(std::string_view digits, bool is_unsigned, PlainValue& value) {
  if (digits.find_first_of(".eE") != std::string_view::npos) return kNotANumber;
  if (const char* wrong = ParseLineNumber(digits, value)) return wrong;
  if (!is_unsigned) {
    return value.kind == PlainValue::Kind::kInt ? nullptr : "an integer beyond 64 bits";
  }
  if (digits[0] == '-') return "an unsigned integer below 0";
  if (digits[0] == '+') digits.remove_prefix(1);
  uint64_t fits = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), fits);
  return parsed.ec == std::errc() ? nullptr : "an unsigned integer beyond 64 bits";
}

}  // namespace

bool InfluxLine::BeginLine() {
  part_ = Part::kMeasurement;
  ResetLineBuffer(name_);
  ResetLineBuffer(text_);
  return !SkipSpace() && *at_ != '#';
}

LineReader::Step InfluxLine::NextField(LineField& field) {
  switch (part_) {
    case Part::kMeasurement:
      return ReadMeasurement(field);
    case Part::kTags:
      if (*at_ == ',') return ReadTag(field);
      if (SkipSpace()) return Malformed("there are no fields", at_);
      part_ = Part::kFields;
      return ReadField(field);
    case Part::kFields:
      if (at_ < end_ && *at_ == ',') {
        ++at_;
        return ReadField(field);
      }
      return ReadTime(field);
    case Part::kEnd:
      break;
  }
  return Step::kEnd;
}

std::string_view InfluxLine::ReadName(std::string_view ends, std::string& buffer) {
  const char* const begin = at_;
  const auto is_end = [&](char c) { return ends.find(c) != std::string_view::npos; };
  while (at_ < end_ && !is_end(*at_) && *at_ != '\\') ++at_;
  if (at_ == end_ || *at_ != '\\') return Between(begin, at_);
  buffer.assign(begin, at_);
  for (; at_ < end_ && !is_end(*at_); ++at_) {
    if (*at_ == '\\' && at_ + 1 < end_ && is_end(at_[1])) ++at_;
    buffer.push_back(*at_);
  }
  return buffer;
}

LineReader::Step InfluxLine::ReadMeasurement(LineField& field) {
  const char* const begin = at_;
  const std::string_view name = ReadName(", ", text_);
  if (name.empty()) return Malformed("the measurement has no name", begin);
  if (at_ == end_) return Malformed("there are no fields", at_);
  part_ = Part::kTags;
  SetText(field, LineField::Kind::kValue, "measurement", name, Between(begin, at_));
  return Step::kField;
}

LineReader::Step InfluxLine::ReadTag(LineField& field) {
  const char* const name_begin = ++at_;
  const std::string_view name = ReadName(",= ", name_);
  if (name.empty()) return Malformed("a tag has no name", name_begin);
  if (at_ == end_ || *at_ != '=') return Malformed("expected '=' behind a tag's name", at_);
  const char* const begin = ++at_;
  const std::string_view text = ReadName(",= ", text_);
  if (text.empty()) return Malformed("a tag has no value", begin);
  if (at_ == end_) return Malformed("there are no fields", at_);
  if (*at_ == '=') return Malformed("a tag's value has an '=' without a backslash", at_);
  SetText(field, LineField::Kind::kTag, name, text, Between(begin, at_));
  return Step::kField;
}

LineReader::Step InfluxLine::ReadField(LineField& field) {
  const char* const name_begin = at_;
  const std::string_view name = ReadName(",= ", name_);
  if (name.empty()) return Malformed("a field has no name", name_begin);
  if (at_ == end_ || *at_ != '=') return Malformed("expected '=' behind a field's name", at_);
  ++at_;
  if (at_ == end_ || *at_ == ',' || *at_ == ' ') return Malformed("a field has no value", at_);
  return *at_ == '"' ? ReadQuoted(field, name) : ReadPlain(field, name);
}

LineReader::Step InfluxLine::ReadQuoted(LineField& field, std::string_view name) {
  const char* const quote = at_++;
  const char* const begin = at_;
  while (at_ < end_ && *at_ != '"' && *at_ != '\\') ++at_;
  std::string_view text = Between(begin, at_);
  if (at_ < end_ && *at_ == '\\') {
    text_.assign(text);
    for (; at_ < end_ && *at_ != '"'; ++at_) {
      if (*at_ == '\\' && at_ + 1 < end_ && (at_[1] == '"' || at_[1] == '\\')) ++at_;
      text_.push_back(*at_);
    }
    text = text_;
  }
  if (at_ == end_) return Malformed("the quotes of a text are not closed", quote);
  ++at_;
  if (at_ < end_ && *at_ != ',' && *at_ != ' ') {
    return Malformed("expected ',' or a space behind a text", at_);
  }
  SetText(field, LineField::Kind::kValue, name, text, Between(quote, at_));
  return Step::kField;
}

LineReader::Step InfluxLine::ReadPlain(LineField& field, std::string_view name) {
  const char* const begin = at_;
  while (at_ < end_ && *at_ != ',' && *at_ != ' ') ++at_;
  const std::string_view token = Between(begin, at_);
  field.kind = LineField::Kind::kValue;
  field.name = name;
  field.token = token;
  if (ReadBool(token, field.value.boolean)) {
    field.value.kind = PlainValue::Kind::kBool;
    return Step::kField;
  }
  const bool is_unsigned = token.back() == 'u';
  const char* wrong =
      is_unsigned || token.back() == 'i'
          ? ParseInteger(token.substr(0, token.size() - 1), is_unsigned, field.value)
          : ParseLineNumber(token, field.value);
  if (wrong == kNotANumber) wrong = "expected a number, a bool or a text in quotes";
  return wrong == nullptr ? Step::kField : Malformed(wrong, begin);
}

LineReader::Step InfluxLine::ReadTime(LineField& field) {
  part_ = Part::kEnd;
  if (SkipSpace()) {
    SetTime(field, now_ms(), {});
    return Step::kField;
  }
  const char* const begin = at_;
  while (at_ < end_ && *at_ != ' ') ++at_;
  const std::string_view token = Between(begin, at_);
  int64_t time = 0;
  const auto parsed = std::from_chars(token.data(), token.data() + token.size(), time);
  if (parsed.ptr != at_) return Malformed("expected the timestamp, an integer", begin);
  const TimeMs time_ms = ToMs(time, precision_);
  if (parsed.ec != std::errc() || time_ms > kEventTimeMsMax || time_ms < -kEventTimeMsMax) {
    return Malformed(
        "the timestamp is not between the years 1691 and 2248 (is it in the source's precision?)",
        begin);
  }
  if (!SkipSpace()) return Malformed("expected nothing behind the timestamp", at_);
  SetTime(field, time_ms, token);
  return Step::kField;
}

}  // namespace bettong::ingest
