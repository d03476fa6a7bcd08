#include "protocol/stream_entry.h"

#include <simdjson.h>

#include <utility>
#include <vector>

#include "base/bytes.h"
#include "protocol/stream_id.h"

namespace bettong::protocol {

// Members of a JSON object as text: strings as they are, everything else as JSON.
class StreamEntryPairs::JsonPairs {
 public:
  // False: not an object, or not JSON.
  bool Parse(std::string_view json, std::vector<StreamEntryPair>& pairs) {
    text_.assign(json);
    text_.reserve(json.size() + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    const simdjson::padded_string_view padded(text_.data(), json.size(), text_.capacity());
    if (parser_.iterate(padded).get(document) != simdjson::SUCCESS) return false;
    if (document.get_object().get(object) != simdjson::SUCCESS) return false;
    for (auto member : object) {
      simdjson::ondemand::field field;
      std::string_view name;
      if (std::move(member).get(field) != simdjson::SUCCESS) return false;
      if (field.unescaped_key().get(name) != simdjson::SUCCESS) return false;
      simdjson::ondemand::json_type type;
      if (field.value().type().get(type) != simdjson::SUCCESS) return false;
      std::string_view value;
      const bool is_text = type == simdjson::ondemand::json_type::string;
      const auto error = is_text ? field.value().get_string().get(value)
                                 : simdjson::to_json_string(field.value()).get(value);
      if (error != simdjson::SUCCESS) return false;
      // Tokens carry the white space behind them.
      while (!is_text && !value.empty() && value.back() <= ' ') value.remove_suffix(1);
      pairs.push_back({name, value, type == simdjson::ondemand::json_type::null});
    }
    return true;
  }

 private:
  simdjson::ondemand::parser parser_;
  std::string text_;
};

StreamEntryPairs::StreamEntryPairs() = default;
StreamEntryPairs::~StreamEntryPairs() = default;

std::span<const StreamEntryPair> StreamEntryPairs::Read(const grid::StreamEntry& entry) {
  pairs_.clear();
  if (entry.form == grid::StreamEntryForm::kFields) {
    ByteReader in(entry.payload);
    const uint64_t count = in.Varint();
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
      const std::string_view field = in.Bytes();
      pairs_.push_back({field, in.Bytes()});
    }
    return pairs_;
  }
  if (json_ == nullptr) json_ = std::make_unique<JsonPairs>();
  if (!json_->Parse(entry.payload, pairs_)) pairs_.assign(1, {"value", entry.payload});
  return pairs_;
}

void StreamEntryWriter::Write(const grid::StreamEntry& entry) {
  reply_.Array(2);
  reply_.Bulk(FormatStreamId(entry.id));
  const std::span<const StreamEntryPair> pairs = pairs_.Read(entry);
  reply_.Array(pairs.size() * 2);
  for (const StreamEntryPair& pair : pairs) {
    reply_.Bulk(pair.field);
    reply_.Bulk(pair.value);
  }
}

FieldsPayload::FieldsPayload(size_t pairs) { ByteWriter(bytes_).Varint(pairs); }

void FieldsPayload::Add(std::string_view field, std::string_view value) {
  ByteWriter writer(bytes_);
  writer.Bytes(field);
  writer.Bytes(value);
}

}  // namespace bettong::protocol
