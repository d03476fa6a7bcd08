// Any bytes as lines: each is decoded, refused or no event, within its bounds. First byte: with a
// class or without, with a header or without, and the delimiter.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/csv_line.h"
#include "ingest/line_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  using bettong::ingest::CsvLine;
  CsvLine reader(
      data[0] % 4 < 2 ? std::vector<std::string>{"key", "ts", "any"} : std::vector<std::string>{},
      data[0] % 8 < 4 ? ',' : ';');
  const std::string_view lines(reinterpret_cast<const char*>(data) + 1, size - 1);
  bettong::ingest::FuzzLines(reader, data[0] % 2 == 0, lines);
  return 0;
}
