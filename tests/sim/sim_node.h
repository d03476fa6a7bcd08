// A whole node in the simulator: the real shards, gates, source actors, sessions, log, recovery and
// sinks, on executors, a lane, wires and a disk of the simulator's. Born by Start, and again after
// Drop.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "grid/runtime/recovery.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/sinks.h"
#include "ingest/stream_actors.h"
#include "tests/sim/disk_faults.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_connection.h"
#include "tests/sim/sim_lane.h"
#include "tests/sim/sim_log.h"
#include "tests/sim/sim_receiver.h"
#include "tests/sim/sim_wire.h"

namespace bettong::sim {

inline constexpr uint32_t kPartitions = 8;
inline constexpr char kDataPath[] = "data";
inline constexpr char kOutPath[] = "out.jsonl";
// Of acknowledged events; each for the stream of its name.
inline constexpr const char* kSources[] = {"work",    "ticks",    "visits", "talk",
                                           "samples", "readings", "plans",  "dates"};
enum SourceNumber : size_t {
  kWorkSource,
  kTicksSource,
  kVisitsSource,
  kTalkSource,
  kSamplesSource,
  kReadingsSource,
  kPlansSource,
  kDatesSource,
};

struct NodeOptions {
  bool log_per_partition = false;
  bool sync = false;  // replies wait for the log
  SimReceiver* receiver = nullptr;
  DiskFaults* disk_faults = nullptr;
};

class SimNode {
 public:
  SimNode(Scheduler& scheduler, SimulatedDisk& disk, std::shared_ptr<const grid::Catalog> catalog,
          NodeOptions options);
  ~SimNode();

  // Recovers and runs, with so many shards. An error: it has not come up.
  absl::Status Start(uint32_t shards);
  // The process is gone, and with it whatever was not written.
  void Drop();
  bool up() const { return !loops_.empty(); }
  // Set when the node has ended itself.
  const std::string& failed() const { return failed_; }

  size_t shards() const { return loops_.size(); }
  grid::ShardLoop& loop(size_t i) { return *loops_[i]; }
  const grid::SlotMap& slot_map() const { return loops_[0]->slot_map(); }
  // A connection of a sender to one of kSources.
  std::shared_ptr<SimWire> Accept(size_t source);
  bool Idle() const;
  // No deadline or timer is to come, by the wall clock.
  bool Sleeps() const;
  uint64_t Digest() const;
  uint64_t rounds() const;
  bool disk_full() const;

  // Recovers the state on a copy of the disk, with so many shards, and answers its digest.
  absl::StatusOr<uint64_t> DigestOfLog(uint32_t shards, uint64_t seed);

 private:
  Scheduler& scheduler_;
  SimulatedDisk& disk_;
  const std::shared_ptr<const grid::Catalog> catalog_;
  const NodeOptions options_;
  std::string failed_;

  std::unique_ptr<wal::DataDirectory> directory_;
  std::unique_ptr<wal::Rounds> rounds_;
  std::vector<std::unique_ptr<SimExecutor>> executors_;
  std::unique_ptr<SimLane> lane_;
  std::vector<std::unique_ptr<grid::ShardLoop>> loops_;
  std::vector<std::unique_ptr<SimLog>> logs_;
  std::unique_ptr<ingest::Sinks> sinks_;
  std::vector<ingest::ShardDoor> doors_;
  ingest::SourceCounters counters_;
  std::vector<std::unique_ptr<ingest::StreamActors>> actors_[std::size(kSources)];  // by shard
  std::vector<std::unique_ptr<SimConnection>> connections_;
};

}  // namespace bettong::sim
