// Any bytes as lines: each is decoded, refused or no event, within its bounds. First byte: with a
// class or without, and the precision.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/influx_line.h"
#include "ingest/line_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  using bettong::ingest::InfluxLine;
  InfluxLine reader(static_cast<bettong::ingest::TimePrecision>(data[0] / 2 % 4));
  const std::string_view lines(reinterpret_cast<const char*>(data) + 1, size - 1);
  bettong::ingest::FuzzLines(reader, data[0] % 2 == 0, lines);
  return 0;
}
