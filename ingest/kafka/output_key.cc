#include "ingest/kafka/output_key.h"

#include <simdjson.h>

#include <utility>

namespace bettong::ingest {

struct OutputKey::Parser {
  simdjson::ondemand::parser parser;
};

OutputKey::OutputKey(std::string field)
    : field_(std::move(field)), parser_(field_.empty() ? nullptr : std::make_unique<Parser>()) {}

OutputKey::~OutputKey() = default;

std::optional<std::string_view> OutputKey::Find(std::string_view json) {
  using simdjson::ondemand::json_type;
  if (parser_ == nullptr) return std::nullopt;
  text_.assign(json);
  text_.append(simdjson::SIMDJSON_PADDING, ' ');
  const simdjson::padded_string_view padded(text_.data(), json.size(), text_.size());
  simdjson::ondemand::document document;
  simdjson::ondemand::value value;
  json_type type;
  if (parser_->parser.iterate(padded).get(document) != simdjson::SUCCESS ||
      document.find_field_unordered(field_).get(value) != simdjson::SUCCESS ||
      value.type().get(type) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  std::string_view text;
  switch (type) {
    case json_type::string:
      if (value.get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
      break;
    case json_type::number:
    case json_type::boolean:
      text = value.raw_json_token();
      while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
      break;
    default:
      return std::nullopt;
  }
  key_.assign(text);
  return key_;
}

}  // namespace bettong::ingest
