// For each partition the epochs whose sections count, and up to where: the chain that the open
// sections make, from the newest one back. Plain data, one thread.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "wal/format.h"

namespace bettong::wal {

struct ChainLink {
  Epoch epoch;
  uint64_t cut_sequence = UINT64_MAX;  // the last that counts
  // Whose log holds the open section; nullopt: it has been removed, with what was around it.
  std::optional<ShardId> shard;
};

struct PartitionChain {
  std::vector<ChainLink> links;  // oldest first
  bool from_beginning = false;   // nothing of the partition's history has been removed
};

class EpochChains {
 public:
  explicit EpochChains(size_t partitions) : partitions_(partitions) {}

  // Of a section that stands in the log of `shard`.
  absl::Status AddOpen(PartitionId partition, Epoch epoch, ShardId shard, const OpenEntry& entry);
  // The partition has sections of an epoch whose open section has been removed.
  void AddRest(PartitionId partition, Epoch epoch);
  // The newest epoch that was added for it; 0: none.
  Epoch Newest(PartitionId partition) const;

  PartitionChain Chain(PartitionId partition) const;

 private:
  struct Open {
    ShardId shard;
    OpenEntry entry;
  };
  struct Partition {
    std::map<Epoch, Open> opens;
    Epoch newest;
  };

  std::vector<Partition> partitions_;
};

}  // namespace bettong::wal
