// Finds the field of an output that becomes its record's key. On one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace bettong::ingest {

class OutputKey {
 public:
  // An empty field: records have no keys.
  explicit OutputKey(std::string field);
  ~OutputKey();

  // A text, or a number or bool as it is written; nothing if the output is no object, or has no
  // such field, or null or a list or an object in it. Good until the next call.
  std::optional<std::string_view> Find(std::string_view json);

 private:
  struct Parser;
  const std::string field_;
  std::unique_ptr<Parser> parser_;
  std::string text_;  // padded
  std::string key_;
};

}  // namespace bettong::ingest
