// One schedule: a node, its senders and clients, and everything that goes wrong, as a seed decides.
// What is found wrong in the end is the answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/disk_faults.h"

namespace bettong::sim {

struct ScheduleOptions {
  // Instead of all that goes wrong by chance: one crash, and this.
  std::optional<FailingCall> failing_call;
  // Calls of the disk, in order: "sync data/shard-00/00000003.log".
  std::vector<std::string>* calls = nullptr;
};

struct ScheduleResult {
  uint64_t trace = 0;  // a hash of all that happened
  uint64_t steps = 0;
  uint64_t crashes = 0;
  std::string struck;     // the call of the disk that failed first; empty: none
  bool ended = false;     // the node itself, because of it
  std::string violation;  // empty: none
};

ScheduleResult RunSchedule(uint64_t seed, const ScheduleOptions& options = {});

}  // namespace bettong::sim
