#include "ingest/source_format.h"

#include <absl/strings/ascii.h>

#include <algorithm>

namespace bettong::ingest {

const char* WrongColumns(const std::vector<std::string>& columns) {
  if (columns.size() > kCsvColumnsMax) return "there are more than 4096 columns";
  std::vector<std::string_view> names(columns.begin(), columns.end());
  std::sort(names.begin(), names.end());
  if (!names.empty() && names.front().empty()) return "a column has no name";
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
    return "two columns have the same name";
  }
  return nullptr;
}

bool IsCsvDelimiter(std::string_view text) {
  if (text.size() != 1) return false;
  const auto byte = static_cast<unsigned char>(text[0]);
  return byte == '\t' || (absl::ascii_isprint(byte) && !absl::ascii_isalnum(byte) && byte != '"');
}

}  // namespace bettong::ingest
