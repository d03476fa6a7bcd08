#include "grid/big_hash.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

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

TEST(BigHash, EqualsAMapUnderRandomWrites) {
  std::mt19937 random(1);
  BigHash hash(7);
  const size_t empty_bytes = hash.heap_bytes();
  std::map<std::string, std::string> model;
  for (int i = 0; i < 60'000; ++i) {
    // Few fields at first, then so many that indexes are split.
    std::string field = "field" + std::to_string(random() % (i < 20'000 ? 300 : 30'000));
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
  BigHash hash(7);
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

TEST(BigHash, FieldsAreFoundWhileIndexesAreSplit) {
  constexpr int kFields = 10 * BigHash::kFieldsPerIndex;
  BigHash hash(7);
  for (int i = 0; i < kFields; ++i) {
    std::string field = std::to_string(i);
    ASSERT_TRUE(hash.Set(field, field));
    if (i % 1000 != 0) continue;
    for (int k = 0; k <= i; k += 97) ASSERT_EQ(hash.Get(std::to_string(k)), std::to_string(k));
  }
  for (int i = 0; i < kFields; ++i) {
    const uint32_t ahead = hash.HashOf(std::to_string(i));
    hash.PrefetchCell(ahead);
    hash.PrefetchPosition(ahead);
    hash.PrefetchField(ahead);
    ASSERT_TRUE(hash.Delete(std::to_string(i)));
  }
  EXPECT_EQ(hash.size(), 0u);
}

TEST(BigHash, AValueGrowsAndShrinksInItsPlace) {
  BigHash hash(7);
  hash.Set("a", "x");
  for (size_t size : {0, 1, 10, 1000, 900, 100'000, 3, 0}) {
    std::string value(size, 'v');
    EXPECT_FALSE(hash.Set("a", value));
    EXPECT_EQ(hash.Get("a"), value);
    EXPECT_LT(hash.heap_bytes(), 2 * size + 2000);
  }
}

TEST(BigHash, APositionBeyondTheEndVisitsNothing) {
  BigHash hash(7);
  hash.Set("a", "1");
  auto fail = [](std::string_view, std::string_view) { return ADD_FAILURE(), true; };
  EXPECT_EQ(hash.VisitFrom(1, fail), 0u);
  EXPECT_EQ(hash.VisitFrom(UINT64_MAX, fail), 0u);
}

}  // namespace
}  // namespace bettong::grid
