// Messages that may come twice: what they are called, and which have had their effect. See
// docs/exactly-once.md.
#include <xxhash.h>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/shard_impl.h"

namespace bettong::grid {

bool Shard::Impl::Repeated(PartitionId partition, const Origin& origin, uint64_t target) {
  if (origin.channel == kNoChannel) return false;
  AppliedMarks& marks = marks_[partition.value()];
  if (!marks.Known(origin.channel, {origin.position, target}, origin.low_water)) return false;
  ++stats_.repeats_dropped;
  BETTONG_SOMETIMES(repeat_dropped);
  return true;
}

void Shard::Impl::NoteApplied(PartitionId partition, const Origin& origin, uint64_t target) {
  if (origin.channel == kNoChannel || !options_.record_changes) return;
  marks_[partition.value()].Add(origin.channel, {origin.position, target}, origin.low_water);
#ifdef BETTONG_SIMULATION
  if (BETTONG_PLANTED(mark_in_another_section)) {
    // It stands behind the effects of the next batch.
    late_marks_.push_back([this, partition, origin, target] {
      journal_.Applied(partition, origin.channel, origin.position, target);
    });
    return;
  }
#endif
  journal_.Applied(partition, origin.channel, origin.position, target);
}

uint64_t Shard::Impl::TargetOf(const EventBatch& batch, const EventBatch::Item& item) const {
  const uint64_t seed = targets_[item.entity_class.value()][item.handler] + item.occurrence;
  const std::string_view key = batch.key(item);  // empty: the target is the key function
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

PartitionId Shard::Impl::PartitionOfOrigin(const Origin& origin) const {
  if (origin.channel == kNoChannel) return own_partition_;
  PartitionId partition(static_cast<uint16_t>(origin.channel - 1));
  if ((origin.channel & kSourceChannelBit) != 0) {
    partition = slot_map_.PartitionOf(Slot(static_cast<uint16_t>(origin.channel % kSlotCount)));
  }
  BETTONG_CHECK(slot_map_.ShardOf(partition) == options_.id);
  return partition;
}

}  // namespace bettong::grid
