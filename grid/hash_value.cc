#include "grid/hash_value.h"

namespace bettong::grid {

size_t PackedHash::size() const {
  size_t count = 0;
  ForEach([&](std::string_view, std::string_view) { return ++count, true; });
  return count;
}

std::optional<std::string_view> PackedHash::Get(std::string_view field) const {
  std::optional<std::string_view> found;
  ForEach([&](std::string_view name, std::string_view value) {
    if (name != field) return true;
    found = value;
    return false;
  });
  return found;
}

void PackedHash::Append(std::string_view field, std::string_view value, std::string& out) {
  ByteWriter bytes(out);
  bytes.Bytes(field);
  bytes.Bytes(value);
}

}  // namespace bettong::grid
