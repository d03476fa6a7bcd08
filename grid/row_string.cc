#include "grid/row_string.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace bettong::grid {

std::string_view RowString::Get(const char* at) {
  auto size = LoadUnaligned<uint32_t>(at);
  if (size <= kInlineMax) return {at + 4, size};
  return {LoadUnaligned<const char*>(at + 8), size};
}

void RowString::Init(char* at, std::string_view value) {
  StoreUnaligned(at, static_cast<uint32_t>(value.size()));
  if (value.size() <= kInlineMax) {
    if (!value.empty()) std::memcpy(at + 4, value.data(), value.size());
    return;
  }
  auto* copy = static_cast<char*>(std::malloc(value.size()));
  BETTONG_CHECK(copy != nullptr);
  std::memcpy(copy, value.data(), value.size());
  StoreUnaligned(at + 8, copy);
}

void RowString::Set(char* at, std::string_view value) {
  char fresh[kBytes] = {};
  Init(fresh, value);  // before Destroy: `value` may lie in the old string
  Destroy(at);
  std::memcpy(at, fresh, kBytes);
}

void RowString::Destroy(char* at) {
  if (LoadUnaligned<uint32_t>(at) > kInlineMax) std::free(LoadUnaligned<char*>(at + 8));
  StoreUnaligned<uint32_t>(at, 0);
}

size_t RowString::HeapBytes(const char* at) {
  auto size = LoadUnaligned<uint32_t>(at);
  return size > kInlineMax ? size + 16 : 0;
}

}  // namespace bettong::grid
