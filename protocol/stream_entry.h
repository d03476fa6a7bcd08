// Stream entries as clients read them: an id and field-value pairs. An entry that a computation
// emitted is a JSON object; its members become the pairs.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grid/value.h"
#include "protocol/reply_writer.h"

namespace bettong::protocol {

struct StreamEntryPair {
  std::string_view field, value;
  bool is_null = false;  // JSON's; `value` is "null" then
};

// The pairs of one entry at a time. Keeps the JSON parser's memory from entry to entry.
class StreamEntryPairs {
 public:
  StreamEntryPairs();
  ~StreamEntryPairs();

  // Valid until the next call, and as long as the entry. What is no JSON object is one pair,
  // "value".
  std::span<const StreamEntryPair> Read(const grid::StreamEntry& entry);

 private:
  class JsonPairs;

  std::vector<StreamEntryPair> pairs_;
  std::unique_ptr<JsonPairs> json_;  // made when it is needed
};

class StreamEntryWriter {
 public:
  explicit StreamEntryWriter(ReplyWriter& reply) : reply_(reply) {}

  void Write(const grid::StreamEntry& entry);

 private:
  ReplyWriter& reply_;
  StreamEntryPairs pairs_;
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
