#include "grid/hash_value.h"

#include <gtest/gtest.h>

#include <string>

namespace bettong::grid {
namespace {

TEST(PackedHash, FieldsAreFoundByNameAndVisitedInOrder) {
  std::string bytes;
  PackedHash::Append("a", "1", bytes);
  PackedHash::Append("", "empty name", bytes);
  PackedHash::Append("b", "", bytes);
  PackedHash::Append(std::string(300, 'x'), std::string(500, 'y'), bytes);
  PackedHash hash(bytes);
  EXPECT_EQ(hash.size(), 4u);
  EXPECT_EQ(hash.Get("a"), "1");
  EXPECT_EQ(hash.Get(""), "empty name");
  EXPECT_EQ(hash.Get("b"), "");
  EXPECT_EQ(hash.Get(std::string(300, 'x')), std::string(500, 'y'));
  EXPECT_EQ(hash.Get("c"), std::nullopt);
  EXPECT_EQ(PackedHash("").size(), 0u);
}

TEST(PackedHash, StopsAtMalformedBytes) {
  for (std::string_view bytes : {"\x05", "\x05zz", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"}) {
    size_t visits = 0;
    PackedHash(bytes).ForEach([&](std::string_view, std::string_view) { return ++visits, true; });
    EXPECT_LE(visits, 1u);
  }
}

}  // namespace
}  // namespace bettong::grid
