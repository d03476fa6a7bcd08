// Logs that real shards wrote, damage to them, and what may be read of them then.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "tests/log_damage/logged_node_testing.h"
#include "wal/format.h"

namespace bettong {

// The last epoch in a shard's log: what may have a torn tail.
struct LastRun {
  struct Record {
    wal::Lsn lsn;
    std::string path;
    uint64_t offset = 0, bytes = 0;  // without padding
  };
  ShardId shard;
  wal::Epoch epoch;
  std::string mark_path;  // the file `durable`
  wal::Lsn durable;       // as it says
  std::vector<Record> records;
  std::vector<std::string> segments;  // paths, in order
};

// A data directory after several lives, the last of which ended with or without a record that
// nobody was promised.
class Original {
 public:
  // Nothing if what its recovery brings back is not what its node had: `fault` says so.
  Original(compute::ScriptedHost& host, uint64_t seed);

  const std::string& fault() const { return fault_; }
  const SimulatedDisk::Image& image() const { return image_; }
  // Of the same directory, earlier: writes that were lost leave such blocks.
  const std::vector<SimulatedDisk::Image>& earlier() const { return earlier_; }
  const std::vector<LastRun>& last_runs() const { return last_runs_; }
  const NodeState& whole() const { return whole_; }
  uint32_t shards_next() const { return shards_next_; }  // that it is recovered with
  size_t epochs() const { return epochs_; }
  bool trimmed() const { return trimmed_; }

  enum class Verdict : uint8_t {
    kWhole,         // all of it
    kUnpromised,    // all but records that nobody was promised
    kUndetectable,  // docs/log-format.md, "What no reader can see"
    kWrong,
  };
  Verdict Judge(const NodeState& found, const SimulatedDisk::Image& damaged);

 private:
  using Cuts = std::vector<size_t>;  // by last run: how many of its records are there

  void Live(uint64_t seed);
  void ReadRuns();
  size_t FewestRecords(const LastRun& run, const SimulatedDisk::Image& damaged) const;
  const std::optional<NodeState>& StateWith(const Cuts& cuts);

  compute::ScriptedHost& host_;
  std::string fault_;
  SimulatedDisk::Image image_;
  std::vector<SimulatedDisk::Image> earlier_;
  std::vector<LastRun> last_runs_;
  NodeState whole_;
  std::optional<uint64_t> values_;  // of the living node, if all of it was committed
  std::set<OutboxNumber> pending_;  // likewise
  uint32_t shards_next_ = 1;
  size_t epochs_ = 0;
  bool trimmed_ = false;
  std::map<Cuts, std::optional<NodeState>> states_;
};

// Damages one thing at random; says what.
std::string Damage(const Original& original, std::mt19937_64& random, SimulatedDisk::Image& image);

}  // namespace bettong
