// A Redis hash or an entity's fields, read in the same way. An entity appears as a hash whose
// fields are those of its class, in order of declaration, as text.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "grid/key_turn.h"

namespace bettong::protocol {

class HashView {
 public:
  explicit HashView(grid::KeyTurn& turn) : turn_(turn) {}

  // False: the key holds something else, and the error has been replied. A missing key is an empty
  // hash.
  bool Open();

  size_t size();
  // Good until the next call.
  std::optional<std::string_view> Get(std::string_view field);
  void ForEach(const std::function<void(std::string_view field, std::string_view value)>& visit);

 private:
  grid::KeyTurn& turn_;
  grid::ValueType type_ = grid::ValueType::kNone;
  std::string text_;
};

}  // namespace bettong::protocol
