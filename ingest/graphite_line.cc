#include "ingest/graphite_line.h"

#include <absl/strings/match.h>

#include <cmath>

#include "ingest/record_fields.h"

namespace bettong::ingest {
namespace {

bool IsNan(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return absl::EqualsIgnoreCase(absl::string_view(text.data(), text.size()), "nan");
}

}  // namespace

bool GraphiteLine::BeginLine() {
  part_ = Part::kMetric;
  path_ = ReadWord();
  value_ = ReadWord();
  time_ = ReadWord();
  return !path_.empty() && !IsNan(value_);
}

std::string_view GraphiteLine::ReadWord() {
  SkipSpace();
  const char* const begin = at_;
  while (at_ < end_ && *at_ != ' ' && *at_ != '\t') ++at_;
  return {begin, static_cast<size_t>(at_ - begin)};
}

LineReader::Step GraphiteLine::NextField(LineField& field) {
  switch (part_) {
    case Part::kMetric:
      return ReadMetric(field);
    case Part::kTags:
      return path_.empty() ? ReadValue(field) : ReadTag(field);
    case Part::kTime:
      return ReadTime(field);
    case Part::kEnd:
      break;
  }
  return Step::kEnd;
}

LineReader::Step GraphiteLine::ReadMetric(LineField& field) {
  const std::string_view metric = path_.substr(0, path_.find(';'));
  if (metric.empty()) return Malformed("the metric has no name", path_.data());
  if (value_.empty()) return Malformed("expected a value behind the metric", end_);
  part_ = Part::kTags;
  path_.remove_prefix(metric.size());
  SetText(field, LineField::Kind::kValue, "metric", metric, metric);
  return Step::kField;
}

LineReader::Step GraphiteLine::ReadTag(LineField& field) {
  path_.remove_prefix(1);
  const std::string_view tag = path_.substr(0, path_.find(';'));
  path_.remove_prefix(tag.size());
  const size_t equals = tag.find('=');
  if (equals == 0 || tag.empty()) return Malformed("a tag has no name", tag.data());
  if (equals == std::string_view::npos) {
    return Malformed("expected '=' behind a tag's name", tag.data() + tag.size());
  }
  const std::string_view text = tag.substr(equals + 1);
  if (text.empty()) return Malformed("a tag has no value", text.data());
  SetText(field, LineField::Kind::kTag, tag.substr(0, equals), text, text);
  return Step::kField;
}

LineReader::Step GraphiteLine::ReadValue(LineField& field) {
  part_ = Part::kTime;
  field.kind = LineField::Kind::kValue;
  field.name = "value";
  field.token = value_;
  const char* const wrong = ParseLineNumber(value_, field.value);
  return wrong == nullptr ? Step::kField : Malformed(wrong, value_.data());
}

LineReader::Step GraphiteLine::ReadTime(LineField& field) {
  part_ = Part::kEnd;
  TimeMs time_ms = now_ms();
  if (!time_.empty() && time_ != "-1") {
    PlainValue seconds;
    if (ParseLineNumber(time_, seconds) != nullptr) {
      return Malformed("expected the timestamp, in seconds", time_.data());
    }
    const double ms = seconds.kind == PlainValue::Kind::kInt
                          ? static_cast<double>(seconds.integer) * 1e3
                          : std::round(seconds.real * 1e3);
    if (!(std::abs(ms) <= static_cast<double>(kEventTimeMsMax))) {
      return Malformed("the timestamp is not between the years 1691 and 2248 (is it in seconds?)",
                       time_.data());
    }
    time_ms = static_cast<TimeMs>(ms);
  }
  if (!SkipSpace()) return Malformed("expected nothing behind the timestamp", at_);
  SetTime(field, time_ms, time_);
  return Step::kField;
}

}  // namespace bettong::ingest
