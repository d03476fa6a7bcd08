// One JSON text, strictly parsed (simdjson): its root value, and the fields of an object one by one
// with each value as it stands in the text. Owned by one thread; the memory is kept from text to
// text.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ingest/plain_json.h"

namespace bettong::ingest {

struct JsonValue {
  PlainValue scalar;       // unless nested; integers beyond an int64 come as floats, and numbers
                           // beyond a double as infinity
  bool nested = false;     // a list or an object: see token
  std::string_view token;  // the value as it stands in the text
};

class JsonDocument {
 public:
  JsonDocument();
  ~JsonDocument();

  // Parses `text`, readable for kFramePaddingBytes beyond its end, which must outlive the reading.
  // Null, or what is wrong with it (a static string).
  const char* Parse(std::string_view text, JsonValue& root);
  // The same without asking for padding.
  const char* ParseCopy(std::string_view text, JsonValue& root);

  bool is_object() const;

  // The next field of the root object, in the order of the text; false at the end.
  bool NextField(std::string_view& name, JsonValue& value);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::ingest
