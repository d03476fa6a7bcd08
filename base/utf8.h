// UTF-8, as far as it must be told from other bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace bettong {

// The bytes of the well-formed UTF-8 sequence that `text` begins with; 0 if it begins with none.
inline size_t Utf8SequenceBytes(std::string_view text) {
  if (text.empty()) return 0;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  size_t size = first >= 0xf0 && first < 0xf5   ? 4
                : first >= 0xe0 && first < 0xf0 ? 3
                : first >= 0xc2 && first < 0xe0 ? 2
                                                : 0;
  if (size == 0 || size > text.size()) return 0;
  // The second byte of some sequences has narrower bounds: no overlong forms, surrogates or values
  // above U+10FFFF.
  unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  for (size_t i = 1; i < size; ++i, low = 0x80, high = 0xbf) {
    if (byte(i) < low || byte(i) > high) return 0;
  }
  return size;
}

inline bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    size_t size = Utf8SequenceBytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace bettong
