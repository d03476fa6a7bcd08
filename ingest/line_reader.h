// Takes one line that is not JSON (InfluxDB line protocol, Graphite plaintext, CSV) apart into the
// fields of one event, in their order. EventDecoder::DecodeLine pulls them.
//
// One for each connection or file, on its shard's thread: CSV remembers the header. Nothing is
// allocated per line once its buffers have grown, no exception is thrown, and what it keeps is no
// more than a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "ingest/decode_error.h"
#include "ingest/plain_json.h"
#include "ingest/source_format.h"

namespace bettong::ingest {

struct LineField {
  enum class Kind : uint8_t {
    kValue,  // typed, as a value in JSON is
    kTag,    // text in its field's form; where any value will do it is a text
    kCell,   // the same, as a client's pair is; an empty one counts as missing where text does not
             // go
    kTime,   // ms since 1970: of the event class's time field, else of one named "time"
  };
  Kind kind = Kind::kValue;
  std::string_view name;   // this and the texts are good until the next call
  PlainValue value;        // kTag, kCell: a text; kTime: an int
  std::string_view token;  // as it stands in the line, for errors
};

class LineReader {
 public:
  enum class Step : uint8_t { kField, kEnd, kMalformed };

  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  virtual ~LineReader() = default;

  // Begins with a line, which must outlive its fields. False: it holds no event (a comment, a
  // header). `now_ms`: the time of a line that has none.
  bool Begin(std::string_view line, TimeMs now_ms);
  // The next field; kMalformed: see error(), and no event comes of the line.
  Step Next(LineField& field) { return error_.ok() ? NextField(field) : Step::kMalformed; }
  const DecodeError& error() const { return error_; }

  // A line that could not be received whole was left out here.
  virtual void OnLostLine() {}

 protected:
  explicit LineReader(SourceFormat format) : format_(format) {}

  virtual bool BeginLine() = 0;
  virtual Step NextField(LineField& field) = 0;

  // Notes what is wrong (a static string) and where in the line.
  Step Malformed(const char* detail, const char* at);
  // Whether white space is all that is left; otherwise moves to what comes.
  bool SkipSpace() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
    return at_ == end_;
  }
  // A text field called `name`.
  static void SetText(LineField& field, LineField::Kind kind, std::string_view name,
                      std::string_view text, std::string_view token);
  void SetTime(LineField& field, TimeMs time_ms, std::string_view token) const;

  TimeMs now_ms() const { return now_ms_; }

  // What is left of the line.
  const char* at_ = nullptr;
  const char* end_ = nullptr;

 private:
  const SourceFormat format_;
  const char* begin_ = nullptr;
  TimeMs now_ms_ = 0;
  DecodeError error_;
};

// Null for JSON, which has no LineReader, and for raw, whose reader knows more (kafka_record.h).
std::unique_ptr<LineReader> MakeLineReader(const FormatConfig& config);

// A decimal number: digits with a point and an exponent or without, an optional sign. Without point
// and exponent it is an int if it fits, as in JSON. Null, or what is wrong with it.
inline constexpr char kNotANumber[] = "expected a number";  // one object: it is compared
const char* ParseLineNumber(std::string_view text, PlainValue& value);

// Empties a buffer for the next line; one that a huge line has made huge is given back.
inline constexpr size_t kLineBufferKeptBytesMax = 64u << 10;
inline void ResetLineBuffer(std::string& buffer) {
  if (buffer.capacity() > kLineBufferKeptBytesMax) std::string().swap(buffer);
  buffer.clear();
}

}  // namespace bettong::ingest
