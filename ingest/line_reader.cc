#include "ingest/line_reader.h"

#include <simdjson.h>

#include <charconv>

#include "base/utf8.h"
#include "ingest/csv_line.h"
#include "ingest/graphite_line.h"
#include "ingest/influx_line.h"

namespace bettong::ingest {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Of a number that a double cannot hold: too small rather than too large.
bool IsTiny(std::string_view digits) {
  const size_t exponent = digits.find_first_of("eE");
  if (exponent != std::string_view::npos) return digits.substr(exponent + 1).starts_with('-');
  return digits[digits.find_first_not_of('0')] == '.';
}

}  // namespace

std::unique_ptr<LineReader> MakeLineReader(const FormatConfig& config) {
  switch (config.format) {
    case SourceFormat::kJson:
    case SourceFormat::kRaw:
      break;
    case SourceFormat::kInflux:
      return std::make_unique<InfluxLine>(config.precision.value_or(TimePrecision::kNs));
    case SourceFormat::kGraphite:
      return std::make_unique<GraphiteLine>();
    case SourceFormat::kCsv:
      return std::make_unique<CsvLine>(config.columns,
                                       config.delimiter.value_or(kCsvDelimiterDefault));
  }
  return nullptr;
}

bool LineReader::Begin(std::string_view line, TimeMs now_ms) {
  if (format_ == SourceFormat::kRaw) {
    error_ = DecodeError{};
    at_ = line.data();
    end_ = at_ + line.size();
    return BeginLine();
  }
  // A frame behind its length may end as lines do.
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  begin_ = at_ = line.data();
  end_ = begin_ + line.size();
  now_ms_ = now_ms;
  error_ = DecodeError{};
  if (simdjson::validate_utf8(line)) return BeginLine();
  OnLostLine();
  std::string_view rest = line;
  while (const size_t size = Utf8SequenceBytes(rest)) rest.remove_prefix(size);
  Malformed("bytes that are not UTF-8", rest.data());
  return true;
}

LineReader::Step LineReader::Malformed(const char* detail, const char* at) {
  error_ = DecodeError{.status = DecodeStatus::kMalformedLine,
                       .format = format_,
                       .got_begin = static_cast<uint32_t>(at - begin_),
                       .detail = detail};
  return Step::kMalformed;
}

void LineReader::SetText(LineField& field, LineField::Kind kind, std::string_view name,
                         std::string_view text, std::string_view token) {
  field.kind = kind;
  field.name = name;
  field.value.kind = PlainValue::Kind::kText;
  field.value.text = text;
  field.token = token;
}

void LineReader::SetTime(LineField& field, TimeMs time_ms, std::string_view token) const {
  field.kind = LineField::Kind::kTime;
  field.name = "time";
  field.value.kind = PlainValue::Kind::kInt;
  field.value.integer = time_ms;
  field.token = token;
}

const char* ParseLineNumber(std::string_view text, PlainValue& value) {
  std::string_view digits = text;
  if (digits.starts_with('+') || digits.starts_with('-')) digits.remove_prefix(1);
  if (digits.empty() || (!IsDigit(digits[0]) && digits[0] != '.')) return kNotANumber;
  if (text[0] == '+') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  if (text.find_first_of(".eE") == std::string_view::npos) {
    const auto parsed = std::from_chars(text.data(), end, value.integer);
    if (parsed.ptr != end) return kNotANumber;
    value.kind = PlainValue::Kind::kInt;
    if (parsed.ec == std::errc()) return nullptr;
  }
  const auto parsed = std::from_chars(text.data(), end, value.real);
  if (parsed.ptr != end || parsed.ec == std::errc::invalid_argument) return kNotANumber;
  value.kind = PlainValue::Kind::kFloat;
  if (parsed.ec == std::errc()) return nullptr;
  if (!IsTiny(digits)) return "a number beyond the largest double";
  value.real = text[0] == '-' ? -0.0 : 0.0;
  return nullptr;
}

}  // namespace bettong::ingest
