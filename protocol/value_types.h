// The names of value types as clients know them.
#pragma once

#include <string_view>

#include "grid/value.h"

namespace bettong::protocol {

// An entity is a hash to generic clients.
constexpr std::string_view TypeName(grid::ValueType type) {
  switch (type) {
    case grid::ValueType::kString:
      return "string";
    case grid::ValueType::kHash:
    case grid::ValueType::kEntity:
      return "hash";
    case grid::ValueType::kStream:
      return "stream";
    case grid::ValueType::kNone:
      break;
  }
  return "none";
}

}  // namespace bettong::protocol
