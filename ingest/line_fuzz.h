// What the fuzz targets of the LineReaders have in common.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "ingest/event_decoder.h"
#include "ingest/line_reader.h"

namespace bettong::ingest {

inline grid::EventSchema LineFuzzSchema() {
  grid::EventSchema schema;
  schema.name = "All";
  const auto add = [&](const char* name, grid::EventFieldType type, const char* default_json) {
    schema.fields.push_back(grid::EventField{.name = name,
                                             .type = type,
                                             .optional = default_json == std::string_view("null"),
                                             .required = false,
                                             .default_json = default_json});
  };
  add("key", grid::EventFieldType::kText, "\"\"");
  add("ts", grid::EventFieldType::kInt, "0");
  add("value", grid::EventFieldType::kFloat, "null");
  add("on", grid::EventFieldType::kBool, "false");
  add("raw", grid::EventFieldType::kBytes, "\"\"");
  add("list", grid::EventFieldType::kList, "[]");
  add("any", grid::EventFieldType::kAny, "1");
  schema.time_field = 1;
  return schema;
}

// Each line of `lines`, in memory of its own that ends with it: decoded or refused, never both.
inline void FuzzLines(LineReader& reader, bool classed, std::string_view lines) {
  static const grid::EventSchema kClassed = LineFuzzSchema();
  static const grid::EventSchema kUnclassed{.fields = {grid::EventField{.name = "event"}}};
  static const grid::KeySpec kKey{.field = 0, .field_name = "key"};
  static JsonDocument document;
  static EventDecoder class_decoder(StreamId(0), kClassed, {&kKey}, document);
  static EventDecoder text_decoder(StreamId(0), kUnclassed, {&kKey}, document);
  const grid::EventSchema& schema = classed ? kClassed : kUnclassed;
  EventDecoder& decoder = classed ? class_decoder : text_decoder;
  ByteBuffer records;
  while (!lines.empty()) {
    const size_t size = std::min(lines.find('\n'), lines.size());
    // AddressSanitizer watches what is behind it.
    const auto memory = std::make_unique<char[]>(size);
    lines.copy(memory.get(), size);
    lines.remove_prefix(std::min(size + 1, lines.size()));
    const std::string_view line(memory.get(), size);
    if (!reader.Begin(line, 1'700'000'000'123)) continue;
    records.clear();
    const DecodeError error = decoder.DecodeLine(reader, line, records);
    BETTONG_CHECK(error.ok() != records.empty());
    if (!error.ok()) {
      BETTONG_CHECK(error.got_begin <= line.size());
      BETTONG_CHECK(!DescribeDecodeError(error, schema, line).empty());
      continue;
    }
    const auto& record = *reinterpret_cast<const grid::EventRecord*>(records.data());
    BETTONG_CHECK(record.size_bytes == records.size());
    const EventKey key = decoder.Key(0, record);
    BETTONG_CHECK(key.status != KeyStatus::kOk || !key.text.empty());
    JsonDocument parsed;
    JsonValue value;
    const std::string json = grid::RenderEventJson(record, schema);
    BETTONG_CHECK(json.find('\n') == std::string::npos);
    BETTONG_CHECK(parsed.ParseCopy(json, value) == nullptr && parsed.is_object());
  }
}

}  // namespace bettong::ingest
