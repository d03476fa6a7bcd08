// Turns the text of one stream's events into grid::EventRecords, and finds their keys. JSON goes
// through a quick reader for flat events first (plain_json.h) and through simdjson when that one is
// not sure; both mean the same. Nothing is allocated per event once the buffers have grown, and no
// exception is thrown.
//
// Owned by one thread, like the JsonDocument it shares with that thread's other decoders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/event.h"
#include "ingest/decode_error.h"
#include "ingest/event_shape.h"
#include "ingest/json_document.h"
#include "ingest/line_reader.h"
#include "ingest/record_fields.h"

namespace bettong::ingest {

// A client's pairs as a JSON object of text fields.
void AppendFieldsJson(std::string_view fields_payload, std::string& json);

struct EventKey {
  KeyStatus status = KeyStatus::kMissing;
  std::string_view text;
};

class EventDecoder {
 public:
  // `keys`: what Key() will be asked for, KeySpec::Kind::kField only. Schema and keys are borrowed.
  EventDecoder(StreamId stream, const grid::EventSchema& schema,
               std::vector<const grid::KeySpec*> keys, JsonDocument& document);

  // Appends one record to `records`, or nothing. `json` is readable for kFramePaddingBytes beyond
  // its end. `beside`: fields that come with the event, but not in it; they count more than those
  // in it, here and in DecodeLine.
  DecodeError DecodeJson(std::string_view json, ByteBuffer& records, LineReader* beside = nullptr);

  // The same from a client's field-value pairs (varint n, n * (bytes, bytes)): each value is text
  // in its field's form, nested ones are JSON. An event without a class gets text fields.
  DecodeError DecodeFields(std::string_view fields_payload, ByteBuffer& records);

  // The same from a line that is not JSON, with which `reader` has begun: its typed values are as
  // JSON's, the others as a client's. An event without a class becomes a JSON object.
  DecodeError DecodeLine(LineReader& reader, std::string_view line, ByteBuffer& records,
                         LineReader* beside = nullptr);

  // The key at keys[index] of the event decoded last, as the text that follows the prefix: good
  // until the next call, while the decoded input lives.
  EventKey Key(size_t index, const grid::EventRecord& record);

 private:
  struct FoundKey {  // in an event without a class
    KeyStatus status = KeyStatus::kMissing;
    bool is_int = false;
    int64_t integer = 0;
    std::string_view text;
  };

  bool is_unclassed() const { return layout_.schema().name.empty(); }
  bool DecodePlain(std::string_view json, ByteBuffer& records, LineReader* beside);
  DecodeError DecodeAny(std::string_view json, ByteBuffer& records, LineReader* beside);
  DecodeError SetAll(RecordFields& fields, std::string_view json, LineReader* beside);
  DecodeError DecodeUnclassed(std::string_view json, ByteBuffer& records);
  bool FindKeysInPlain(std::string_view json);
  void NoteStatus(const DecodeError& error);
  void NoteKey(std::string_view name, const PlainValue& value, std::string_view token);
  void ForgetKeys();
  DecodeStatus SetFromText(RecordFields& fields, size_t field, std::string_view text);
  DecodeError DecodeUnclassedFields(std::string_view fields_payload, ByteBuffer& records);
  DecodeStatus SetFromLine(RecordFields& fields, size_t field, const LineField& from);
  // Sets what the reader has; wrong values are noted.
  LineReader::Step SetFromReader(RecordFields& fields, LineReader& reader, std::string_view line);
  void SetBeside(RecordFields& fields, LineReader& beside);
  bool SetRightBeside(RecordFields& fields, LineReader& beside);  // whether all are right
  DecodeError DecodeUnclassedLine(LineReader& reader, ByteBuffer& records, LineReader* beside);
  DecodeError DecodeUnclassedWith(std::string_view json, ByteBuffer& records, LineReader& beside);
  // Members of a JSON object; `first`: there is none before them.
  LineReader::Step AppendMembers(LineReader& reader, bool first);
  EventKey IntKey(int64_t value);

  const RecordLayout layout_;
  const std::vector<const grid::KeySpec*> keys_;
  JsonDocument& document_;
  EventShape shape_;
  std::vector<FoundKey> found_keys_;  // as keys_; of events without a class
  std::vector<DecodeError> wrong_;    // fields whose last value so far is wrong
  char key_digits_[24];
  std::string json_;  // made of a client's pairs, or of a line
};

}  // namespace bettong::ingest
