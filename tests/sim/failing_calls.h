// Every call of the file system fails, one at a time: a schedule of a seed is run once for each
// call that it makes and each way to fail. What must hold is what holds for any schedule: nothing
// that was acknowledged, answered or given out is taken back, and the node starts again.
#pragma once

#include <cstdint>
#include <string>

namespace bettong::sim {

struct FailingCallsResult {
  uint64_t calls = 0;  // that the schedules of all seeds make
  uint64_t runs = 0;
  uint64_t violations = 0;
};

// Of every `stride`-th call of each place (an operation and a kind of file). Prints what was hit,
// and violations. `only`: of no call but this, if it is not 0.
FailingCallsResult RunFailingCalls(uint64_t seed, uint64_t seeds, uint64_t stride,
                                   uint64_t only = 0);

}  // namespace bettong::sim
