#include "grid/hash_value.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace bettong::grid {
namespace {

std::map<std::string, std::string> FieldsOf(const BigHash& hash) {
  std::map<std::string, std::string> fields;
  hash.VisitFrom(0, [&](std::string_view field, std::string_view value) {
    EXPECT_TRUE(fields.emplace(field, value).second);
    return true;
  });
  return fields;
}

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

TEST(BigHash, EqualsAMapUnderRandomWrites) {
  std::mt19937 random(1);
  BigHash hash;
  const size_t empty_bytes = hash.heap_bytes();
  std::map<std::string, std::string> model;
  for (int i = 0; i < 20'000; ++i) {
    std::string field = "field" + std::to_string(random() % 300);
    if (random() % 3 == 0) {
      EXPECT_EQ(hash.Delete(field), model.erase(field) == 1);
    } else {
      std::string value(random() % 60, static_cast<char>('a' + random() % 26));
      EXPECT_EQ(hash.Set(field, value), model.insert_or_assign(field, value).second);
    }
    ASSERT_EQ(hash.size(), model.size());
  }
  EXPECT_EQ(FieldsOf(hash), model);
  for (const auto& [field, value] : model) EXPECT_EQ(hash.Get(field), value);
  EXPECT_EQ(hash.Get("no such field"), std::nullopt);
  for (const auto& [field, value] : std::map(model)) hash.Delete(field);
  EXPECT_EQ(hash.heap_bytes(), empty_bytes);
}

// What HSCAN promises: a field that is there throughout is visited, once.
TEST(BigHash, VisitsInPiecesSeeEveryFieldThatStays) {
  BigHash hash;
  for (int i = 0; i < 1000; ++i) hash.Set("keep" + std::to_string(i), "v");
  std::map<std::string, int> seen;
  uint64_t position = 0;
  int round = 0;
  do {
    int visited = 0;
    position = hash.VisitFrom(position, [&](std::string_view field, std::string_view) {
      ++seen[std::string(field)];
      return ++visited < 7;
    });
    std::string come_and_go = "guest" + std::to_string(round / 2);
    if (round++ % 2 == 0) {
      hash.Set(come_and_go, "v");
    } else {
      hash.Delete(come_and_go);
    }
  } while (position != 0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen["keep" + std::to_string(i)], 1);
}

TEST(BigHash, APositionBeyondTheEndVisitsNothing) {
  BigHash hash;
  hash.Set("a", "1");
  auto fail = [](std::string_view, std::string_view) { return ADD_FAILURE(), true; };
  EXPECT_EQ(hash.VisitFrom(1, fail), 0u);
  EXPECT_EQ(hash.VisitFrom(UINT64_MAX, fail), 0u);
}

}  // namespace
}  // namespace bettong::grid
