// The smallest node there can be: partitions whose sections hold random bytes, logs on a simulated
// disk, rolling checkpoints, trimming, a changing number of shards; and beside it the list of what
// each partition's history may be. What it finds when it starts is checked against that list.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "wal/data_directory.h"
#include "wal/history.h"
#include "wal/segment_writer.h"

namespace bettong::wal {

// A section, and where it lies.
struct SectionSeen {
  Epoch epoch;
  uint64_t sequence = 0;
  SectionKind kind = SectionKind::kData;
  std::string entries;
  ShardId shard;
  SegmentNumber segment;
  uint64_t record_offset = 0;
  bool complete_round = false;

  bool SameAs(const SectionSeen& other) const {
    return epoch == other.epoch && sequence == other.sequence && kind == other.kind &&
           entries == other.entries;
  }
};
using Sections = std::vector<SectionSeen>;

// Everything that counts in a data directory, by partition; as tools read it.
absl::StatusOr<std::vector<Sections>> ReadEverything(FileSystem& files, const std::string& path);

class TestNode {
 public:
  static constexpr char kPath[] = "data";
  static constexpr uint32_t kPartitions = 5;
  static constexpr uint64_t kSegmentBytes = 16 << 10;

  // Two nodes that differ by `salt` only do the same with other bytes in their sections.
  TestNode(SimulatedDisk& disk, uint64_t seed, char salt = 'a')
      : disk_(disk), random_(seed), salt_(salt) {}

  // Opens the directory, checks what is found, and opens a log per shard and every partition.
  absl::Status Start(uint32_t shards);
  // Something at random: commits, checkpoint rounds, trimming, preparing. An error other than
  // kResourceExhausted means that the node has to end; Stop it, then Kill or Crash the disk.
  absl::Status Step();
  // Completes a round of every partition, and removes all that is not needed then.
  absl::Status Checkpoint();
  void Stop();

  // What was found wrong; empty: nothing.
  const std::string& fault() const { return fault_; }
  const Sections& history(PartitionId partition) const {
    return partitions_[partition.value()].history;
  }
  const std::vector<std::string>& notes() const { return notes_; }
  uint64_t commits() const { return commits_; }

 private:
  struct Partition {
    Sections history;  // as this process knows it
    // What the next process may find, each as a whole; more than one after a failed commit.
    std::vector<Sections> possible{{}};
    size_t needed_from = 0;  // in history: the begin of the last complete round
    std::optional<size_t> round_begin;
    uint64_t sequence = 0;  // in this epoch
  };
  struct Pending {
    PartitionId partition;
    SectionSeen section;
  };

  absl::Status Check(const std::vector<Sections>& found, const HistoryEnd& end);
  void CheckPartition(size_t index, const Sections& found, const PartitionTail& tail);
  absl::Status OpenPartitions(uint32_t shards, const HistoryEnd& end);
  // Commits `group_`, which may be left over from a full disk.
  absl::Status Commit(ShardId shard);
  void Add(PartitionId partition, SectionKind kind, std::string entries);
  absl::Status CommitRandomly(ShardId shard);
  absl::Status Trim();
  std::string RandomBytes();
  ShardId ShardOf(size_t partition) const {
    return ShardId(static_cast<uint16_t>((partition + moved_) % writers_.size()));
  }
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  SimulatedDisk& disk_;
  std::mt19937_64 random_;
  const char salt_;
  Epoch epoch_;
  std::unique_ptr<DataDirectory> directory_;
  std::vector<std::unique_ptr<SegmentWriter>> writers_;
  std::vector<Partition> partitions_{kPartitions};
  std::vector<Pending> group_;
  std::optional<ShardId> group_shard_;
  std::string fault_;
  std::vector<std::string> notes_;
  uint64_t commits_ = 0;
  uint64_t bytes_made_ = 0;
  uint64_t moved_ = 0;  // where partitions lie in this epoch
};

}  // namespace bettong::wal
