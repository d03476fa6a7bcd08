// Any bytes as an event: decoded or refused, never both, and never read past the padding. First
// byte: as JSON into a class, as JSON without a class, or as a client's pairs; or as JSON events
// one behind the other (between them a byte 0x1e), which go by what they have in common: what comes
// of each, the first time and the second, is what the general parser says.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/byte_buffer.h"
#include "base/check.h"
#include "ingest/event_decoder.h"
#include "ingest/frame_reader.h"

namespace {

using bettong::ByteBuffer;
using bettong::StreamId;
using bettong::grid::EventField;
using bettong::grid::EventFieldType;
using bettong::grid::EventRecord;
using bettong::grid::EventSchema;
using bettong::grid::KeySpec;
using bettong::ingest::EventDecoder;
using bettong::ingest::EventKey;
using bettong::ingest::JsonDocument;

EventSchema Classed() {
  EventSchema schema;
  schema.name = "All";
  const auto add = [&](const char* name, EventFieldType type, const char* default_json) {
    schema.fields.push_back(EventField{.name = name,
                                       .type = type,
                                       .optional = default_json == std::string_view("null"),
                                       .required = false,
                                       .default_json = default_json});
  };
  add("key", EventFieldType::kText, "\"\"");
  add("ts", EventFieldType::kInt, "0");
  add("value", EventFieldType::kFloat, "null");
  add("on", EventFieldType::kBool, "false");
  add("raw", EventFieldType::kBytes, "\"\"");
  add("list", EventFieldType::kList, "[]");
  add("object", EventFieldType::kObject, "{}");
  add("any", EventFieldType::kAny, "1");
  schema.time_field = 1;
  return schema;
}

EventSchema Unclassed() {
  EventSchema schema;
  schema.fields.push_back(EventField{.name = "event"});
  return schema;
}

void Check(EventDecoder& decoder, const EventSchema& schema, uint8_t mode, std::string_view input) {
  static ByteBuffer records;
  records.clear();
  const auto error =
      mode == 2 ? decoder.DecodeFields(input, records) : decoder.DecodeJson(input, records);
  BETTONG_CHECK(error.ok() != records.empty());
  if (!error.ok()) {
    BETTONG_CHECK(!bettong::ingest::DescribeDecodeError(error, schema, input).empty());
    return;
  }
  const auto& record = *reinterpret_cast<const EventRecord*>(records.data());
  BETTONG_CHECK(record.size_bytes == records.size());
  const EventKey key = decoder.Key(0, record);
  BETTONG_CHECK(key.status != bettong::ingest::KeyStatus::kOk || !key.text.empty());
  // What was decoded is JSON again, on one line.
  std::string json = bettong::grid::RenderEventJson(record, schema);
  BETTONG_CHECK(json.find('\n') == std::string::npos);
  JsonDocument document;
  bettong::ingest::JsonValue value;
  BETTONG_CHECK(document.ParseCopy(json, value) == nullptr && document.is_object());
}

// An event behind others, decoded by `decoder`, against the general parser: an escape in a name is
// not for the plain one.
void CheckShaped(EventDecoder& decoder, const EventSchema& schema, JsonDocument& document,
                 std::string_view json) {
  const auto decode = [](EventDecoder& by, std::string text, ByteBuffer& records) {
    const size_t size = text.size();
    text.append(bettong::ingest::kFramePaddingBytes, '9');  // more digits
    return by.DecodeJson(std::string_view(text).substr(0, size), records);
  };
  const size_t brace = json.find_first_not_of(" \t\r\n");
  if (brace == std::string_view::npos || json[brace] != '{') return;
  const size_t first = json.find_first_not_of(" \t\r\n", brace + 1);
  if (first == std::string_view::npos || json[first] != '"') return;
  std::string with_escape(json);
  with_escape.insert(brace + 1, "\"\\u0021\":0,");
  EventDecoder general(StreamId(0), schema, {}, document);
  ByteBuffer expected;
  const auto expected_error = decode(general, std::move(with_escape), expected);
  ByteBuffer records;
  const auto error = decode(decoder, std::string(json), records);
  BETTONG_CHECK(error.status == expected_error.status && error.field == expected_error.field);
  BETTONG_CHECK(records.view() == expected.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const EventSchema classed = Classed();
  static const EventSchema unclassed = Unclassed();
  static const KeySpec key{.field = 0, .field_name = "key"};
  static JsonDocument document;
  static EventDecoder class_decoder(StreamId(0), classed, {&key}, document);
  static EventDecoder text_decoder(StreamId(0), unclassed, {&key}, document);

  if (data[0] % 5 == 4) {
    std::string_view events(reinterpret_cast<const char*>(data) + 1, size - 1);
    EventDecoder decoder(StreamId(0), classed, {&key}, document);
    for (int round = 0; round < 2; ++round) {
      for (size_t begin = 0; begin <= events.size();) {
        const size_t end = std::min(events.find('\x1e', begin), events.size());
        CheckShaped(decoder, classed, document, events.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    return 0;
  }
  std::string padded(reinterpret_cast<const char*>(data) + 1, size - 1);
  padded.append(bettong::ingest::kFramePaddingBytes, '}');  // the worst that could follow
  const std::string_view input = std::string_view(padded).substr(0, size - 1);
  switch (data[0] % 5) {
    case 0:
      Check(class_decoder, classed, 0, input);
      break;
    case 1:
      Check(text_decoder, unclassed, 1, input);
      break;
    case 2:
      Check(class_decoder, classed, 2, input);
      break;
    default:
      Check(text_decoder, unclassed, 2, input);
  }
  return 0;
}
