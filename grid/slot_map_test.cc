#include "grid/slot_map.h"

#include <gtest/gtest.h>

#include <set>

namespace bettong::grid {
namespace {

TEST(SlotMap, EveryShardOwnsAContiguousEvenShare) {
  for (uint32_t shards : {1u, 2u, 3u, 8u, 64u}) {
    SlotMap map(64, shards, 1);
    uint16_t before = 0;
    std::vector<uint32_t> slots_of(shards);
    std::set<uint16_t> partitions;
    for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
      Slot s(static_cast<uint16_t>(slot));
      uint16_t owner = map.ShardOf(s).value();
      ASSERT_GE(owner, before);
      ASSERT_LT(owner, shards);
      ASSERT_EQ(map.ShardOf(map.PartitionOf(s)), ShardId(owner));
      partitions.insert(map.PartitionOf(s).value());
      ++slots_of[owner];
      before = owner;
    }
    EXPECT_EQ(partitions.size(), 64u);
    auto [least, most] = std::minmax_element(slots_of.begin(), slots_of.end());
    EXPECT_GE(*least * 2, *most);
    EXPECT_GT(*least, 0u);
  }
}

}  // namespace
}  // namespace bettong::grid
