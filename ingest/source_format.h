// The formats of a source's lines beside JSON, as the configuration has them (docs/formats.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bettong::ingest {

// kRaw: the whole of it is one field (of a Kafka record, beside its key and headers).
enum class SourceFormat : uint8_t { kJson, kInflux, kGraphite, kCsv, kRaw };
enum class TimePrecision : uint8_t { kNs, kUs, kMs, kS };

inline constexpr char kCsvDelimiterDefault = ',';
inline constexpr std::string_view kRawFieldDefault = "value";
inline constexpr size_t kCsvColumnsMax = 4096;

// Of a source, or of `bettong run`.
struct FormatConfig {
  SourceFormat format = SourceFormat::kJson;
  std::optional<TimePrecision> precision;  // kInflux, of timestamps; unset: kNs
  std::vector<std::string> columns;        // kCsv; empty: the first line names them
  std::optional<char> delimiter;           // kCsv; unset: kCsvDelimiterDefault
  std::string value;                       // kRaw, the field's name; empty: kRawFieldDefault
};

// What is wrong with these names of columns: an empty one, one that comes twice, too many. Null:
// nothing.
const char* WrongColumns(const std::vector<std::string>& columns);

// What separates cells: an ASCII character or a tab, no quote, letter, digit or line break.
bool IsCsvDelimiter(std::string_view text);

}  // namespace bettong::ingest
