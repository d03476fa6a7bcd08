// A node's core under a test's hand, with its log on a simulated disk: real shards and journals,
// committers, recovery, checkpoints and trimming; random traffic with values and entities of every
// type, outputs, inputs, endpoints, watermarks and messages that may come twice. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/simulated_disk.h"
#include "compute/scripted_host_testing.h"
#include "grid/runtime/recovery.h"
#include "grid/shard_testing.h"
#include "wal/data_directory.h"

namespace bettong {

// All that recovery brings back, as digests. Equal whatever the number of shards.
struct NodeState {
  uint64_t values = 0;
  uint64_t ledger = 0;      // Shard::LedgerDigest
  uint64_t outbox = 0;      // what is to be sent again
  uint64_t watermarks = 0;  // of the streams

  bool operator==(const NodeState&) const = default;
};

// Of an output or input: partition, number.
using OutboxNumber = std::pair<uint16_t, uint64_t>;

class LoggedNode {
 public:
  static constexpr char kPath[] = "data";
  static constexpr uint64_t kSegmentBytes = 16 << 10;

  // Nodes with the same seed do the same.
  LoggedNode(SimulatedDisk& disk, compute::ScriptedHost& host, uint64_t seed)
      : disk_(disk), host_(host), random_(seed) {}

  // Recovers; `recovered` is what it found.
  absl::Status Start(uint32_t shards);
  const NodeState& recovered() const { return recovered_; }
  const std::vector<std::string>& notes() const { return notes_; }

  // Some messages to one shard, and often its commit.
  absl::Status Step();
  absl::Status CommitAll();
  // One round of the checkpoint on all shards, with traffic in between, and what it allows to be
  // removed is.
  absl::Status Checkpoint();
  absl::Status Mark();
  // Values as they are now; everything has been committed.
  uint64_t ValuesDigest() const;
  // Outputs and inputs that have not been confirmed.
  std::set<OutboxNumber> PendingNumbers() const;
  void Stop();

 private:
  struct Pending {
    bool input = false;
    StreamId stream;
    grid::StreamEntryId id;
    std::string text;
  };

  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  std::string Text(uint64_t bytes_max) {
    return std::string(1 + Below(bytes_max), static_cast<char>('a' + Below(26)));
  }
  std::string Value() { return Text(OneIn(40) ? 9000 : OneIn(8) ? 900 : 20); }

  grid::TestShard& ShardOf(std::string_view key);
  std::string KeyCommand(std::string& key);
  std::string Script();
  void SendTraffic();
  void SendEvent();
  void SendView();
  void NoteEndpoint();
  void ConfirmSome();
  void Gather(size_t shard);
  absl::Status Commit(size_t shard);
  absl::Status Tidy();

  SimulatedDisk& disk_;
  compute::ScriptedHost& host_;
  std::mt19937_64 random_;
  TimeMs now_ms_ = 1'000'000;
  uint64_t stream_ms_ = 2'000'000'000'000;  // above every time that views use
  uint64_t position_ = 0;                   // of events

  std::unique_ptr<wal::DataDirectory> directory_;
  std::unique_ptr<wal::Rounds> rounds_;
  std::vector<std::unique_ptr<wal::Committer>> committers_;
  std::vector<std::unique_ptr<grid::TestShard>> shards_;
  std::map<OutboxNumber, Pending> pending_;  // outputs and inputs that are not confirmed
  std::vector<std::string> notes_;
  NodeState recovered_;
};

// What a node that starts on these files finds, and the files as it leaves them.
struct Recovered {
  NodeState state;
  std::set<OutboxNumber> outbox;
  std::vector<std::string> notes;
};
absl::StatusOr<Recovered> RecoverImage(compute::ScriptedHost& host,
                                       const SimulatedDisk::Image& image, uint32_t shards,
                                       SimulatedDisk::Image* after = nullptr);

}  // namespace bettong
