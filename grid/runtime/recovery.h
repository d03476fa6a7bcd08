// Brings a node back from its data directory: reads the logs, applies what counts to the shards,
// opens a new epoch. Single-threaded; the shards do not run yet.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "grid/shard.h"
#include "wal/committer.h"
#include "wal/data_directory.h"
#include "wal/history.h"
#include "wal/rounds.h"

namespace bettong::grid {

struct RecoveryOptions {
  TimeMs now_ms = 0;  // the clock
  uint64_t segment_bytes = wal::kSegmentBytesDefault;
  // A log of its own for each partition, as a topic has them; otherwise one for each shard.
  bool log_per_partition = false;
  // Entities that came due while the node was down live on for so long; 0: they do not.
  int64_t grace_ms = 0;
  // Makes rows of the code's version of rows of an earlier one. Null: there are to be none.
  Migrate migrate;
  std::function<void(const wal::HistoryProgress&)> progress;
  // A damaged log is no reason to refuse: what hangs together is kept, written into a new log, and
  // the old one set aside. Says in the notes what is lost.
  bool accept_loss = false;
  // Sinks' endpoints: where their home has lost something, what it says of them is forgotten.
  std::vector<std::string> sink_endpoints;
};

struct RecoveredNode {
  wal::Epoch epoch;
  bool fresh = false;      // there was nothing
  uint64_t log_bytes = 0;  // that were read
  uint64_t sections = 0;
  std::unique_ptr<wal::Rounds> rounds;                      // outlives the committers
  std::vector<std::unique_ptr<wal::Committer>> committers;  // by shard
  std::vector<RecoveredOutbox> outboxes;                    // by shard
  std::vector<std::string> notes;                           // for the node's log
};

// `directory` must stay as long as the committers do.
absl::StatusOr<RecoveredNode> Recover(FileSystem& files, wal::DataDirectory& directory,
                                      std::span<Shard* const> shards, const SlotMap& slot_map,
                                      const RecoveryOptions& options);

}  // namespace bettong::grid
