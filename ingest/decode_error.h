// Why an event could not be decoded: small values on the event path, words at the edge.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "grid/catalog.h"
#include "ingest/source_format.h"

namespace bettong::ingest {

enum class DecodeStatus : uint8_t {
  kOk,
  kMalformed,       // not JSON
  kMalformedLine,   // not a line of its format
  kNotObject,       // JSON, but not an object
  kMissingField,    // a field without default is missing
  kNull,            // null for a field that is not optional
  kWrongType,       // a value of another type
  kOutOfRange,      // a number that the field cannot hold
  kNotWholeMs,      // an event time with a fraction
  kTimeOutOfRange,  // an event time beyond kEventTimeMsMax
  kBadText,         // bytes that are no UTF-8
  kBadJson,         // text that should be JSON, of a client's pair
};

struct DecodeError {
  DecodeStatus status = DecodeStatus::kOk;
  SourceFormat format = SourceFormat::kJson;  // kMalformedLine: of what the line is none
  uint16_t field = 0;      // of the event class; meaningless for what is malformed, or no object
  bool beside = false;     // the wrong value did not come in the input, but beside it
  uint32_t got_begin = 0;  // what was found instead, in the input
  uint32_t got_size = 0;
  const char* detail = nullptr;  // of what is malformed: what the parser says; static

  bool ok() const { return status == DecodeStatus::kOk; }
};

// "field 'value' of Sample: expected a float, got "abc"".
std::string DescribeDecodeError(const DecodeError& error, const grid::EventSchema& schema,
                                std::string_view input);

// What became of finding an event's key.
enum class KeyStatus : uint8_t { kOk, kMissing, kNull, kWrongType, kEmpty, kTooLong };

// "field 'host' is the key and is missing".
std::string DescribeKeyError(KeyStatus status, std::string_view field_name);

}  // namespace bettong::ingest
