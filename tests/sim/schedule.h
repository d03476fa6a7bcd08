// One schedule: a node, its senders and clients, and everything that goes wrong, as a seed decides.
// What is found wrong in the end is the answer.
#pragma once

#include <cstdint>
#include <string>

namespace bettong::sim {

struct ScheduleResult {
  uint64_t trace = 0;  // a hash of all that happened
  uint64_t steps = 0;
  uint64_t crashes = 0;
  std::string violation;  // empty: none
};

ScheduleResult RunSchedule(uint64_t seed);

}  // namespace bettong::sim
