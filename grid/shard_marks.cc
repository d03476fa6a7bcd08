// Messages that may come twice: what they are called, and which have had their effect. See
// docs/exactly-once.md.
#include <xxhash.h>

#include <initializer_list>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/shard_impl.h"

namespace bettong::grid {

bool Shard::Impl::Repeated(PartitionId partition, const Origin& origin, uint64_t target) {
  if (origin.channel == kNoChannel) return false;
  AppliedMarks& marks = marks_[partition.value()];
  if (!marks.Known(origin.channel, {origin.position, target}, origin.low_water)) return false;
  ++stats_.repeats_dropped;
  BETTONG_SOMETIMES(resend_deduplicated);
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
  if (item.kind == TurnKind::kFunction) return function_targets_[item.handler];
  const uint64_t seed = item.kind == TurnKind::kMessage
                            ? kMessageTarget
                            : targets_[item.entity_class.value()][item.handler] + item.occurrence;
  const std::string_view key = batch.key(item);  // empty: the target is the key function
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

void Shard::AddRecoveredEnds(RecoveredEnds& ends) const {
  for (const AppliedMarks& marks : impl_->marks_) marks.AddRecoveredEnds(ends);
}

void Shard::SetRecoveredEnds(std::shared_ptr<const RecoveredEnds> ends) {
  impl_->recovered_ends_ = std::move(ends);
}

bool Shard::MayHaveBeenHandled(const Origin& origin) const {
  const RecoveredEnds* ends = impl_->recovered_ends_.get();
  if (ends == nullptr || origin.channel == kNoChannel) return false;
  const auto end = ends->find(origin.channel);
  return end != ends->end() && origin.position < end->second;
}

bool Shard::HasLetter(const Origin& origin) {
  return impl_->Repeated(impl_->PartitionOfOrigin(origin), origin, kLetterTarget);
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

namespace {

uint64_t HashOf(std::initializer_list<uint64_t> numbers) {
  return XXH3_64bits(numbers.begin(), numbers.size() * sizeof(uint64_t));
}

}  // namespace

// A sum, so that neither the order of marks nor which shard has which partition matters.
uint64_t Shard::Impl::LedgerDigest() const {
  uint64_t digest = 0;
  for (size_t i = 0; i < marks_.size(); ++i) {
    if (output_sequences_[i] > 0) digest += HashOf({i, output_sequences_[i], confirmed_[i]});
    for (const auto& [name, state] : endpoints_[i]) {
      digest += XXH3_64bits_withSeed(state.data(), state.size(),
                                     XXH3_64bits_withSeed(name.data(), name.size(), i));
    }
    for (const auto& [id, channel] : marks_[i].channels()) {
      if (channel->low_water > 0) digest += HashOf({i, id, channel->low_water});
      for (const AppliedMarks::Mark& mark : channel->marks) {
        if (mark.position < channel->low_water) continue;  // forgotten, when its turn comes
        digest += HashOf({i, id, mark.position, mark.target});
      }
    }
  }
  return digest;
}

uint64_t Shard::LedgerDigest() const { return impl_->LedgerDigest(); }

}  // namespace bettong::grid
