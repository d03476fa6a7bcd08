// A text or bytes as it lies in a row, and in a container's elements. It may be moved as bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace bettong::grid {

// 16 bytes in a row: length, then up to 12 bytes in place, or a pointer to a heap block.
class RowString {
 public:
  static constexpr size_t kBytes = 16;
  static constexpr size_t kInlineMax = 12;

  static std::string_view Get(const char* at);
  static void Init(char* at, std::string_view value);  // `at` holds nothing yet
  static void Set(char* at, std::string_view value);   // frees what was there
  static void Destroy(char* at);
  static size_t HeapBytes(const char* at);
};

}  // namespace bettong::grid
