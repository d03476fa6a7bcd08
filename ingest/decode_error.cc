#include "ingest/decode_error.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "ingest/event_decoder.h"

namespace bettong::ingest {
namespace {

constexpr size_t kGotBytesMax = 80;  // quoted of a wrong value

std::string_view TypeWords(grid::EventFieldType type) {
  switch (type) {
    case grid::EventFieldType::kInt:
      return "an int";
    case grid::EventFieldType::kFloat:
      return "a float";
    case grid::EventFieldType::kBool:
      return "a bool";
    case grid::EventFieldType::kText:
      return "a str";
    case grid::EventFieldType::kBytes:
      return "bytes (as a JSON string)";
    case grid::EventFieldType::kList:
      return "a list";
    case grid::EventFieldType::kObject:
      return "an object";
    case grid::EventFieldType::kAny:
      return "a JSON value";
  }
  return "a value";
}

std::string_view FormatWords(SourceFormat format) {
  switch (format) {
    case SourceFormat::kJson:
      return "JSON";
    case SourceFormat::kInflux:
      return "InfluxDB line protocol";
    case SourceFormat::kGraphite:
      return "Graphite plaintext";
    case SourceFormat::kCsv:
      return "CSV";
    case SourceFormat::kRaw:
      return "a record";
  }
  return "an event";
}

std::string GotWords(const DecodeError& error, std::string_view input) {
  if (error.beside) return "what the record's key, timestamp or header has";
  std::string_view got =
      input.substr(std::min<size_t>(error.got_begin, input.size()), error.got_size);
  while (!got.empty() && static_cast<unsigned char>(got.back()) <= ' ') got.remove_suffix(1);
  if (got.empty()) return "nothing";
  if (got[0] == '{') return "an object";
  if (got[0] == '[') return "a list";
  if (got.size() <= kGotBytesMax) return std::string(got);
  size_t size = kGotBytesMax;
  while (size > 0 && (static_cast<unsigned char>(got[size]) & 0xc0) == 0x80) --size;
  return absl::StrCat(std::string(got.substr(0, size)), "...");
}

}  // namespace

std::string DescribeDecodeError(const DecodeError& error, const grid::EventSchema& schema,
                                std::string_view input) {
  std::string field = "event";
  std::string expected = "a JSON object";
  if (error.field < schema.fields.size() && !schema.name.empty()) {
    const grid::EventField& declared = schema.fields[error.field];
    field = absl::StrCat("field '", declared.name, "' of ", schema.name);
    expected =
        absl::StrCat(std::string(TypeWords(declared.type)), declared.optional ? " or null" : "");
  }
  switch (error.status) {
    case DecodeStatus::kOk:
      return "";
    case DecodeStatus::kMalformed:
      return absl::StrCat("not valid JSON: ", error.detail != nullptr ? error.detail : "malformed");
    case DecodeStatus::kMalformedLine:
      return absl::StrCat("not valid ", std::string(FormatWords(error.format)), ": ", error.detail,
                          ", at column ", error.got_begin + 1);
    case DecodeStatus::kNotObject:
      return absl::StrCat("expected a JSON object, got ", GotWords(error, input));
    case DecodeStatus::kMissingField:
      return absl::StrCat(field, ": missing, and it has no default");
    case DecodeStatus::kNull:
      return absl::StrCat(field, ": expected ", expected, ", got null");
    case DecodeStatus::kWrongType:
      return absl::StrCat(field, ": expected ", expected, ", got ", GotWords(error, input));
    case DecodeStatus::kOutOfRange:
      return absl::StrCat(field, ": ", GotWords(error, input), " is out of range for ", expected);
    case DecodeStatus::kNotWholeMs:
      return absl::StrCat(field, ": expected whole milliseconds, got ", GotWords(error, input));
    case DecodeStatus::kTimeOutOfRange:
      return absl::StrCat(field, ": expected milliseconds since 1970, got ", GotWords(error, input),
                          ", which is not between the years 1691 and 2248 (are these ns or us?)");
    case DecodeStatus::kBadText:
      return absl::StrCat(field, ": not valid UTF-8");
    case DecodeStatus::kBadJson:
      return absl::StrCat(field, ": expected ", expected, " as JSON, got malformed text");
  }
  return "undecodable";
}

std::string DescribeKeyError(KeyStatus status, std::string_view field_name) {
  const std::string field = absl::StrCat("field '", std::string(field_name), "' is the key and ");
  switch (status) {
    case KeyStatus::kOk:
      return "";
    case KeyStatus::kMissing:
      return absl::StrCat(field, "is missing");
    case KeyStatus::kNull:
      return absl::StrCat(field, "is null");
    case KeyStatus::kWrongType:
      return absl::StrCat(field, "is neither text, bytes nor an int");
    case KeyStatus::kEmpty:
      return absl::StrCat(field, "is empty");
    case KeyStatus::kTooLong:
      return absl::StrCat(field, "is longer than ", grid::kEventKeyBytesMax, " bytes");
  }
  return "no key";
}

}  // namespace bettong::ingest
