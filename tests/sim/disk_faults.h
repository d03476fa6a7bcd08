// What goes wrong with a simulated disk beside the loss of what was not synced: calls that fail, a
// full disk, a slow one, bits that turn over. Decides nothing itself; says what has struck.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/simulated_disk.h"
#include "tests/sim/scheduler.h"

namespace bettong::sim {

enum class DiskError : uint8_t { kInputOutput, kNoSpace };

// Calls of the disk from the one with this number on fail, once or until Clear.
struct FailingCall {
  uint64_t number = 0;
  DiskError error{};
  bool once = false;
  bool syncs_only = false;
};

class DiskFaults {
 public:
  DiskFaults(Scheduler& scheduler, SimulatedDisk& disk);

  void FailAt(const FailingCall& call) { failing_ = call; }
  // Every call from now on, if not null.
  void Record(std::vector<std::string>* calls) { calls_ = calls; }
  // Nothing fails any more that has not yet; what has struck is forgotten.
  void Clear();
  // A call has failed since Clear.
  bool struck() const { return struck_; }
  // Of the call that failed first: "sync data/shard-00/00000003.log".
  const std::string& where() const { return where_; }

  void set_slow(bool slow) { slow_ = slow; }
  // What a write and a sync take longer.
  uint64_t ExtraUs();

  // One bit of the data directory turns over. Unflip puts it back.
  void Flip(const std::string& directory);
  bool flipped() const { return flip_.has_value(); }
  std::string flip() const;  // where
  void Unflip();
  void KeepFlip() { flip_.reset(); }

 private:
  struct BitFlip {
    std::string path;
    uint64_t bit = 0;
  };

  absl::Status OnCall(const SimulatedDisk::Call& call);

  Scheduler& scheduler_;
  SimulatedDisk& disk_;
  std::optional<FailingCall> failing_;
  std::vector<std::string>* calls_ = nullptr;
  bool struck_ = false;
  std::string where_;
  bool slow_ = false;
  std::optional<BitFlip> flip_;
};

}  // namespace bettong::sim
