#include "grid/slab.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/memory.h"

namespace bettong::grid {
namespace {

EntryId Take(Slab& slab, size_t bytes) {
  EntryId id = slab.Allocate(bytes);
  slab.at(id)->type = ValueType::kString;
  return id;
}

std::vector<Entry*> All(const Slab& slab) {
  std::vector<Entry*> found;
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  while (Entry* entry = slab.Next(position, slots)) found.push_back(entry);
  return found;
}

TEST(Slab, SlotsAreLargeEnoughAlignedAndDisjoint) {
  Slab slab;
  std::map<uintptr_t, uintptr_t> ranges;
  for (size_t bytes = 0; bytes <= Slab::kSlotBytesMax; bytes += 7) {
    for (int i = 0; i < 5; ++i) {
      EntryId id = Take(slab, bytes);
      auto at = reinterpret_cast<uintptr_t>(slab.at(id));
      EXPECT_EQ(at % Slab::kSlotStep, 0u);
      EXPECT_GE(slab.at(id)->slot_bytes(), std::max(bytes, Slab::kSlotBytesMin));
      EXPECT_TRUE(ranges.emplace(at, at + slab.at(id)->slot_bytes()).second);
    }
  }
  uintptr_t end = 0;
  for (auto [begin, next] : ranges) {
    EXPECT_GE(begin, end);
    end = next;
  }
}

TEST(Slab, AnEntryStaysWhereItIsWhileOthersComeAndGo) {
  Slab slab;
  std::mt19937 random(1);
  std::map<uint32_t, std::pair<Entry*, uint16_t>> live;
  for (int i = 0; i < 200'000; ++i) {
    if (live.empty() || random() % 5 < 3) {
      EntryId id = Take(slab, 24 + random() % 400);
      slab.at(id)->value_size = static_cast<uint16_t>(i);
      ASSERT_TRUE(
          live.emplace(id.value(), std::pair(slab.at(id), static_cast<uint16_t>(i))).second);
    } else {
      auto at = live.lower_bound(random() % (live.rbegin()->first + 1));
      EntryId id(at->first);
      ASSERT_EQ(slab.Resolve(id), at->second.first);
      ASSERT_EQ(at->second.first->value_size, at->second.second);
      slab.Free(id);
      ASSERT_EQ(slab.Resolve(id), nullptr);
      live.erase(at);
    }
  }
  EXPECT_EQ(All(slab).size(), live.size());
}

TEST(Slab, StaleAndInventedIdsResolveToNothing) {
  Slab slab;
  EXPECT_EQ(slab.Resolve(EntryId(0)), nullptr);
  EXPECT_EQ(slab.Resolve(EntryId(1)), nullptr);
  EXPECT_EQ(slab.Resolve(EntryId(UINT32_MAX)), nullptr);
  EntryId id = Take(slab, 24);
  EXPECT_NE(slab.Resolve(id), nullptr);
  EXPECT_EQ(slab.Resolve(EntryId(id.value() + 1)), nullptr);  // never used
  slab.Free(id);
  EXPECT_EQ(slab.Resolve(id), nullptr);
}

TEST(Slab, AnOldIdStaysCheckableAfterItsPageHoldsAnotherSize) {
  Slab slab;
  std::vector<EntryId> ids;
  for (int i = 0; i < 6000; ++i) ids.push_back(Take(slab, 24));
  for (EntryId id : ids) slab.Free(id);
  for (int i = 0; i < 300; ++i) Take(slab, 512);
  for (EntryId id : ids) {
    Entry* entry = slab.Resolve(id);
    EXPECT_TRUE(entry == nullptr || entry->slot_bytes() == 512);
  }
}

TEST(Slab, TheGenerationSurvivesTheReuseOfASlot) {
  Slab slab;
  Take(slab, 24);
  EntryId id = Take(slab, 24);
  slab.at(id)->generation = 77;
  slab.Free(id);
  EXPECT_EQ(Take(slab, 24), id);
  EXPECT_EQ(slab.at(id)->generation, 77);
  EXPECT_EQ(slab.at(id)->flags, 0);
}

// Whatever the order of freeing, no more than one empty page stays with its size.
TEST(Slab, FreedPagesServeOtherSizes) {
  constexpr int kCount = 20'000;
  for (int order = 0; order < 3; ++order) {
    Slab slab;
    std::vector<EntryId> ids;
    for (int i = 0; i < kCount; ++i) ids.push_back(Take(slab, 64));
    size_t before = slab.bytes_used();
    EXPECT_GE(before, kCount * 64u);
    if (order == 1) std::reverse(ids.begin(), ids.end());
    if (order == 2) std::shuffle(ids.begin(), ids.end(), std::mt19937(2));
    for (EntryId id : ids) slab.Free(id);
    EXPECT_LE(slab.bytes_used(), Slab::kPageBytes) << order;
    for (int i = 0; i < kCount / 8; ++i) Take(slab, 512);
    EXPECT_LE(slab.bytes_used(), before + 4 * Slab::kPageBytes) << order;
  }
}

TEST(Slab, OneEntryThatComesAndGoesKeepsItsPage) {
  Slab slab;
  EntryId first = Take(slab, 100);
  slab.Free(first);
  for (int i = 0; i < 10; ++i) {
    EntryId id = Take(slab, 100);
    EXPECT_EQ(id, first);
    slab.Free(id);
  }
}

TEST(Slab, NextFindsEachEntryOnceAndStopsAtTheBudget) {
  Slab slab;
  std::set<Entry*> live;
  std::vector<EntryId> ids;
  for (int i = 0; i < 5000; ++i) ids.push_back(Take(slab, 24 + i % 50 * 8));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i % 3 == 0) {
      slab.Free(ids[i]);
    } else {
      live.insert(slab.at(ids[i]));
    }
  }
  std::set<Entry*> found;
  uint32_t position = 0;
  size_t calls = 0;
  do {
    size_t slots = 10;
    size_t in_call = 0;
    while (Entry* entry = slab.Next(position, slots)) {
      EXPECT_TRUE(found.insert(entry).second);
      ++in_call;
      if (slots == 0) break;
    }
    EXPECT_LE(in_call, 10u);
    ++calls;
  } while (position != 0);
  EXPECT_EQ(found, live);
  EXPECT_GE(calls, 5000u / 10);
  EXPECT_LE(calls, 5000u / 10 + 60);
}

TEST(Slab, NextTakesAnyPositionAClientMayInvent) {
  Slab slab;
  for (int i = 0; i < 100; ++i) Take(slab, 24);
  std::mt19937 random(5);
  for (int i = 0; i < 100'000; ++i) {
    uint32_t position = i < 50'000 ? static_cast<uint32_t>(random()) : random() % 20'000;
    size_t slots = 5;
    slab.Next(position, slots);
  }
}

}  // namespace
}  // namespace bettong::grid
