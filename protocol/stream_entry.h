// Stream entries as clients read them: an id and field-value pairs. An entry that a computation
// emitted is a JSON object; its members become the pairs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "grid/value.h"
#include "protocol/reply_writer.h"

namespace bettong::protocol {

// Keeps the JSON parser's memory from entry to entry.
class StreamEntryWriter {
 public:
  explicit StreamEntryWriter(ReplyWriter& reply);
  ~StreamEntryWriter();

  void Write(const grid::StreamEntry& entry);

 private:
  class JsonPairs;

  ReplyWriter& reply_;
  std::unique_ptr<JsonPairs> json_;  // made when it is needed
};

// The payload of StreamEntryForm::kFields.
class FieldsPayload {
 public:
  explicit FieldsPayload(size_t pairs);
  void Add(std::string_view field, std::string_view value);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace bettong::protocol
