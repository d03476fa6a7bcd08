// The packed shape of a Redis hash: a byte string of (field, value) pairs, each with a varint
// length, kept where strings are kept. A large hash is a BigHash (big_hash.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace bettong::grid {

inline constexpr size_t kPackedHashFieldsMax = 128;
inline constexpr size_t kPackedHashBytesMax = 2048;

// Reads over the packed form.
class PackedHash {
 public:
  explicit PackedHash(std::string_view bytes) : bytes_(bytes) {}

  size_t size() const;
  std::optional<std::string_view> Get(std::string_view field) const;

  // Calls visit(field, value) until it answers false.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    ByteReader in(bytes_);
    while (!in.empty()) {
      std::string_view field = in.Bytes();
      if (!visit(field, in.Bytes())) return;
    }
  }

  static void Append(std::string_view field, std::string_view value, std::string& out);

 private:
  std::string_view bytes_;
};

}  // namespace bettong::grid
