#include "grid/key_index.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <unordered_map>
#include <vector>

namespace bettong::grid {
namespace {

using Model = std::unordered_multimap<uint32_t, uint32_t>;

std::multiset<uint32_t> IdsOf(const KeyIndex& index, uint32_t hash) {
  std::multiset<uint32_t> ids;
  index.Find(hash, [&](EntryId id) {
    ids.insert(id.value());
    return false;
  });
  return ids;
}

void ExpectSame(const KeyIndex& index, const Model& model, const std::vector<uint32_t>& hashes) {
  ASSERT_EQ(index.size(), model.size());
  for (uint32_t hash : hashes) {
    std::multiset<uint32_t> expected;
    auto [begin, end] = model.equal_range(hash);
    for (auto at = begin; at != end; ++at) expected.insert(at->second);
    ASSERT_EQ(IdsOf(index, hash), expected) << hash;
  }
  size_t visited = 0;
  index.ForEach([&](const KeyIndex::Cell&) { ++visited; });
  ASSERT_EQ(visited, model.size());
}

// Random inserts and erases against a model; `make_hash` decides how they crowd.
template <typename MakeHash>
void RunAgainstModel(uint32_t seed, int steps, MakeHash&& make_hash) {
  std::mt19937 random(seed);
  KeyIndex index;
  Model model;
  std::vector<std::pair<uint32_t, uint32_t>> live;
  std::vector<uint32_t> seen;
  uint32_t next_id = 1;
  for (int i = 0; i < steps; ++i) {
    // Grows and shrinks in turns.
    bool insert = live.empty() || random() % 100 < (i / 2000 % 2 == 0 ? 70 : 35);
    if (insert) {
      uint32_t hash = make_hash(random);
      index.Insert(hash, EntryId(next_id));
      model.emplace(hash, next_id);
      live.emplace_back(hash, next_id++);
      seen.push_back(hash);
    } else {
      size_t at = random() % live.size();
      auto [hash, id] = live[at];
      live[at] = live.back();
      live.pop_back();
      index.Erase(hash, EntryId(id));
      auto [begin, end] = model.equal_range(hash);
      for (auto found = begin; found != end; ++found) {
        if (found->second != id) continue;
        model.erase(found);
        break;
      }
    }
    if (i % 1777 != 0) continue;
    ASSERT_NO_FATAL_FAILURE(ExpectSame(index, model, seen));
  }
  ASSERT_NO_FATAL_FAILURE(ExpectSame(index, model, seen));
  std::shuffle(live.begin(), live.end(), random);
  for (auto [hash, id] : live) index.Erase(hash, EntryId(id));
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(index.bytes(), 0u);
}

TEST(KeyIndex, EqualsAModelWithSpreadHashes) {
  RunAgainstModel(1, 30'000, [](auto& random) { return static_cast<uint32_t>(random()); });
}

TEST(KeyIndex, EqualsAModelWithCollidingHashes) {
  RunAgainstModel(2, 8000,
                  [](auto& random) { return static_cast<uint32_t>(random()) % 97 * 44'000'000u; });
}

TEST(KeyIndex, EqualsAModelWithHashesAtTheUpperEnd) {
  RunAgainstModel(3, 8000, [](auto& random) { return UINT32_MAX - random() % 3; });
}

TEST(KeyIndex, EqualsAModelWithHashesAtBothEnds) {
  RunAgainstModel(4, 8000, [](auto& random) {
    uint32_t near = random() % 200;
    return random() % 2 == 0 ? near : UINT32_MAX - near;
  });
}

// Hashes are chosen by nobody outside, but whoever does so costs no more than the time to look.
TEST(KeyIndex, EqualHashesAtTheTopTakeMemoryInProportion) {
  KeyIndex index;
  for (uint32_t id = 1; id <= 2000; ++id) index.Insert(UINT32_MAX, EntryId(id));
  EXPECT_EQ(IdsOf(index, UINT32_MAX).size(), 2000u);
  EXPECT_LE(index.bytes(), 2000 * sizeof(KeyIndex::Cell) * 8);
}

TEST(KeyIndex, FindChoosesByEqualAmongEqualHashes) {
  KeyIndex index;
  for (uint32_t id = 1; id <= 5; ++id) index.Insert(42, EntryId(id));
  for (uint32_t wanted = 1; wanted <= 5; ++wanted) {
    EXPECT_EQ(index.Find(42, [&](EntryId id) { return id == EntryId(wanted); }), EntryId(wanted));
  }
  EXPECT_EQ(index.Find(42, [](EntryId) { return false; }), EntryId(0));
  EXPECT_EQ(index.Find(41, [](EntryId) { return true; }), EntryId(0));
}

TEST(KeyIndex, AnEmptyIndexOwnsNothing) {
  KeyIndex index;
  EXPECT_EQ(index.bytes(), 0u);
  EXPECT_EQ(index.Find(1, [](EntryId) { return true; }), EntryId(0));
  index.Prefetch(1);
  index.ForEach([](const KeyIndex::Cell&) { FAIL(); });
  index.Clear();
}

TEST(KeyIndex, MemoryFollowsTheNumberOfKeysUpAndDown) {
  KeyIndex index;
  std::mt19937 random(9);
  std::vector<uint32_t> hashes;
  for (uint32_t id = 1; id <= 100'000; ++id) {
    hashes.push_back(static_cast<uint32_t>(random()));
    index.Insert(hashes.back(), EntryId(id));
  }
  EXPECT_LE(index.bytes(), 100'000 * sizeof(KeyIndex::Cell) * 3 / 2);
  for (uint32_t id = 1; id < 100'000; ++id) index.Erase(hashes[id - 1], EntryId(id));
  EXPECT_EQ(index.size(), 1u);
  EXPECT_LE(index.bytes(), 4096u);
  EXPECT_EQ(IdsOf(index, hashes.back()).count(100'000), 1u);
}

}  // namespace
}  // namespace bettong::grid
