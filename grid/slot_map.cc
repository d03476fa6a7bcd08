#include "grid/slot_map.h"

namespace bettong::grid {

SlotMap::SlotMap(uint32_t partitions, uint32_t shards, uint64_t hash_seed)
    : partitions_(partitions), shards_(shards), hash_seed_(hash_seed) {
  shard_of_partition_.reserve(partitions);
  for (uint32_t i = 0; i < partitions; ++i) {
    shard_of_partition_.push_back(ShardId(static_cast<uint16_t>(i * shards / partitions)));
  }
}

}  // namespace bettong::grid
