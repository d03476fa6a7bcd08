// The fields of one event record while it is built: checks each value against its declared type,
// fills in defaults and finds the event time. Both JSON and a client's text pairs end up here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.h"
#include "grid/catalog.h"
#include "grid/event.h"
#include "ingest/decode_error.h"
#include "ingest/plain_json.h"

namespace bettong::ingest {

// An event time is within this of 1970: a larger one (a time in us or ns, most often) would carry
// the stream's watermark away with it.
inline constexpr TimeMs kEventTimeMsMax = TimeMs{1} << 43;

// How the value of a field is mostly written, for who reads without asking (RecordFields::Put…).
enum class FieldForm : uint8_t {
  kUndeclared,
  kText,
  kInt,
  kFloat,
  kTime,   // an int, of milliseconds: the event time
  kOther,  // goes by Set
};

// What the schema says, prepared for decoding. The schema outlives it.
class RecordLayout {
 public:
  RecordLayout(StreamId stream, const grid::EventSchema& schema);

  StreamId stream() const { return stream_; }
  const grid::EventSchema& schema() const { return *schema_; }
  size_t size() const { return size_; }
  // The field of that name, or -1. `likely` is looked at first.
  int Find(std::string_view name, int likely) const;
  // `field` as Find answers it.
  FieldForm FormOf(int field) const;

 private:
  friend class RecordFields;
  struct Default {
    bool present = false;
    PlainValue value;   // of a scalar; text points into the schema or `text`
    std::string token;  // lists, objects, any: the JSON text
    std::string text;
  };
  static Default ParseDefault(const grid::EventField& field);

  StreamId stream_;
  const grid::EventSchema* schema_;
  size_t size_;
  std::vector<Default> defaults_;
  uint64_t all_bits_;  // bit i: there is a field i
};

class RecordFields {
 public:
  RecordFields(const RecordLayout& layout, ByteBuffer& records)
      : layout_(layout), builder_(records, layout.stream(), layout.size()) {}

  // Sets a field; a second value replaces the first, whether that one was right or wrong. `token`:
  // the value as JSON.
  DecodeStatus Set(size_t field, const PlainValue& value, std::string_view token);
  // Likewise, of a list (`token` starts with '[') or an object.
  DecodeStatus SetNested(size_t field, std::string_view token);

  // The same as Set, of a field of this form: kText, kInt, kFloat, kTime.
  void PutText(size_t field, std::string_view text) { builder_.SetBytes(field, text); }
  void PutInt(size_t field, int64_t value) { builder_.SetInt(field, value); }
  void PutFloat(size_t field, double value) { builder_.SetFloat(field, value); }
  void PutTime(size_t field, TimeMs time_ms) {  // within kEventTimeMsMax
    builder_.SetInt(field, time_ms);
    builder_.SetTime(time_ms);
  }

  // Sets what is missing and closes the record. After an error, or if the last value of a field was
  // wrong, the record is to be abandoned.
  DecodeError Complete() {
    if (builder_.known_bits() != layout_.all_bits_) return CompleteWithDefaults();
    builder_.Finish();
    return DecodeError{};
  }
  void Abandon() { builder_.Abandon(); }

 private:
  DecodeError CompleteWithDefaults();
  DecodeStatus SetNull(size_t field);
  DecodeStatus SetTime(size_t field, const PlainValue& value);
  void SetJson(size_t field, std::string_view token);

  const RecordLayout& layout_;
  grid::EventRecordBuilder builder_;
};

}  // namespace bettong::ingest
