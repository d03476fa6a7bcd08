#include "ingest/plain_json.h"

#include <simdjson.h>

#include <cstring>

namespace bettong::ingest {

PlainObject::Step PlainObject::ReadName() {
  lead_begin_ = at_;
  if (at_ >= end_) return Step::kUnsure;
  SkipSpace();
  if (!started_) {
    if (at_ >= end_ || *at_ != '{') return Step::kUnsure;
    started_ = true;
    ++at_;
    SkipSpace();
    if (at_ < end_ && *at_ == '}') return Step::kUnsure;  // {}: rare, not worth a path
  } else {
    if (at_ >= end_) return Step::kUnsure;
    if (*at_ == '}') {
      if (++at_ < end_) SkipSpace();
      return at_ == end_ ? Step::kEnd : Step::kUnsure;
    }
    if (*at_ != ',') return Step::kUnsure;
    ++at_;
    SkipSpace();
  }
  if (at_ >= end_ || *at_ != '"' || !ReadString(name_)) return Step::kUnsure;
  SkipSpace();
  if (at_ >= end_ || *at_ != ':') return Step::kUnsure;
  ++at_;
  SkipSpace();
  return at_ < end_ ? Step::kField : Step::kUnsure;
}

bool PlainObject::ReadValue(PlainValue& value) {
  value_begin_ = at_;
  switch (*at_) {
    case '"':
      value.kind = PlainValue::Kind::kText;
      return ReadString(value.text);
    case 't':
      value.kind = PlainValue::Kind::kBool;
      value.boolean = true;
      return ReadWord("true");
    case 'f':
      value.kind = PlainValue::Kind::kBool;
      value.boolean = false;
      return ReadWord("false");
    case 'n':
      value.kind = PlainValue::Kind::kNull;
      return ReadWord("null");
    default:
      return ReadNumber(value);
  }
}

bool PlainObject::ReadWord(std::string_view word) {
  if (static_cast<size_t>(end_ - at_) <= word.size()) return false;
  if (std::memcmp(at_, word.data(), word.size()) != 0) return false;
  at_ += word.size();
  return true;  // what follows must be a comma, a brace or space: ReadName looks
}

bool PlainObject::ReadNumber(PlainValue& value) {
  Number number;
  if (!ScanNumber(number)) return false;
  if (number.decimals == 0) {
    value.kind = PlainValue::Kind::kInt;
    value.integer = number.Int();
  } else {
    value.kind = PlainValue::Kind::kFloat;
    if (!number.GetFloat(value.real)) return false;
  }
  at_ = number.end;
  return true;
}

bool PlainObject::IsUtf8(std::string_view text) { return simdjson::validate_utf8(text); }

}  // namespace bettong::ingest
