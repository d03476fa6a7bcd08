// Which shard owns which slot: an immutable snapshot that every thread may hold.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/key_hash.h"

namespace bettong::grid {

class SlotMap {
 public:
  // Spreads `partitions` evenly, in contiguous runs, over `shards`.
  SlotMap(uint32_t partitions, uint32_t shards, uint64_t hash_seed);

  PartitionId PartitionOf(Slot slot) const {
    return PartitionId(static_cast<uint16_t>(slot.value() * partitions_ / kSlotCount));
  }
  ShardId ShardOf(Slot slot) const { return shard_of_partition_[PartitionOf(slot).value()]; }
  ShardId ShardOf(PartitionId partition) const { return shard_of_partition_[partition.value()]; }
  KeyRef Key(std::string_view key) const { return MakeKeyRef(key, hash_seed_); }

  uint32_t partitions() const { return partitions_; }
  uint32_t shards() const { return shards_; }
  uint64_t hash_seed() const { return hash_seed_; }

 private:
  uint32_t partitions_;
  uint32_t shards_;
  uint64_t hash_seed_;
  std::vector<ShardId> shard_of_partition_;
};

}  // namespace bettong::grid
