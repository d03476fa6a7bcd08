#include "wal/epoch_chains.h"

#include <algorithm>

#include "base/simulation.h"
#include "wal/errors.h"

namespace bettong::wal {

absl::Status EpochChains::AddOpen(PartitionId partition, Epoch epoch, ShardId shard,
                                  const OpenEntry& entry) {
  Partition& of = partitions_[partition.value()];
  if (entry.continues >= epoch) {
    return Corruption("partition ", partition.value(), " is opened in epoch ", epoch.value(),
                      " as going on from epoch ", entry.continues.value());
  }
  if (!of.opens.try_emplace(epoch, Open{shard, entry}).second) {
    return Corruption("partition ", partition.value(), " is opened twice in epoch ", epoch.value());
  }
  of.newest = std::max(of.newest, epoch);
  return absl::OkStatus();
}

void EpochChains::AddRest(PartitionId partition, Epoch epoch) {
  Partition& of = partitions_[partition.value()];
  of.newest = std::max(of.newest, epoch);
}

Epoch EpochChains::Newest(PartitionId partition) const {
  return partitions_[partition.value()].newest;
}

PartitionChain EpochChains::Chain(PartitionId partition) const {
  const Partition& of = partitions_[partition.value()];
  PartitionChain chain;
  chain.from_beginning = of.newest == Epoch(0);  // there is nothing at all
  uint64_t cut = UINT64_MAX;
  for (Epoch epoch = of.newest; epoch != Epoch(0);) {
    const auto open = of.opens.find(epoch);
    if (open == of.opens.end()) {
      // Where this one came from is not known any more: what is older does not count.
      chain.links.push_back({epoch, cut, std::nullopt});
      break;
    }
    chain.links.push_back({epoch, cut, open->second.shard});
    epoch = open->second.entry.continues;
    cut = open->second.entry.cut_sequence;
    if (BETTONG_PLANTED(cut_tail_revived)) cut = UINT64_MAX;
    chain.from_beginning = epoch == Epoch(0);
  }
  std::reverse(chain.links.begin(), chain.links.end());
  return chain;
}

}  // namespace bettong::wal
