// Numbers as they lie in a row (raw: 64 bits), and as they stand in changes.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace bettong::grid {

// A number of an int or float field, or of an element of such an array.
inline void WriteNumber(bool is_float, uint64_t raw, ByteWriter& out) {
  is_float ? out.Fixed(raw) : out.Zigzag(static_cast<int64_t>(raw));
}
inline uint64_t ReadNumber(bool is_float, ByteReader& in) {
  return is_float ? in.Fixed<uint64_t>() : static_cast<uint64_t>(in.Zigzag());
}

}  // namespace bettong::grid
