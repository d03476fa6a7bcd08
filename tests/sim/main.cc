// The simulator: whole nodes under a seeded scheduler, with everything that can go wrong.
//   sim [--schedules=N] [--seed=S] [--seconds=T] [--bug=NAME] [--verbose]
// Runs N schedules, of seeds S, S + 1, ..., or as many as T seconds are enough for, and ends at the
// first violation. The last line:
// schedules=N violations=0 seed=S.
//   sim --calls [--schedules=N] [--seed=S] [--stride=K] [--call=C]
// Runs a schedule of each of these seeds once for every call of the file system (every K-th of
// each place; C only), which fails. The last line: calls=C runs=R violations=0 seed=S.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim/failing_calls.h"
#include "tests/sim/points.h"
#include "tests/sim/schedule.h"

namespace {

uint64_t NumberOf(const char* argument, const char* name, uint64_t otherwise) {
  const size_t size = std::strlen(name);
  if (std::strncmp(argument, name, size) != 0) return otherwise;
  return std::strtoull(argument + size, nullptr, 10);
}

int FailCalls(uint64_t seed, uint64_t seeds, uint64_t stride, uint64_t only) {
  const auto result = bettong::sim::RunFailingCalls(seed, seeds, stride, only);
  std::printf(
      "calls=%llu runs=%llu violations=%llu seed=%llu\n",
      static_cast<unsigned long long>(result.calls), static_cast<unsigned long long>(result.runs),
      static_cast<unsigned long long>(result.violations), static_cast<unsigned long long>(seed));
  return result.violations == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  // Each schedule makes and drops whole nodes: their memory is kept for the next.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  uint64_t schedules = 100, seed = 1, stride = 1, call = 0;
  uint64_t seconds = UINT32_MAX;
  bool verbose = false, calls = false;
  for (int i = 1; i < argc; ++i) {
    schedules = NumberOf(argv[i], "--schedules=", schedules);
    seed = NumberOf(argv[i], "--seed=", seed);
    if (std::strncmp(argv[i], "--bug=", 6) == 0) bettong::simulation::Plant(argv[i] + 6);
    call = NumberOf(argv[i], "--call=", call);
    stride = NumberOf(argv[i], "--stride=", stride);
    seconds = NumberOf(argv[i], "--seconds=", seconds);
    calls |= std::strcmp(argv[i], "--calls") == 0;
    verbose |= std::strcmp(argv[i], "--verbose") == 0;
  }
  if (calls) return FailCalls(seed, schedules, stride, call);
  uint64_t crashes = 0, steps = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (uint64_t i = 0; i < schedules; ++i) {
    if (std::chrono::steady_clock::now() > end) schedules = i + 1;  // this one is the last
    const bettong::sim::ScheduleResult result = bettong::sim::RunSchedule(seed + i);
    crashes += result.crashes;
    steps += result.steps;
    if (verbose) {
      std::printf("seed=%llu trace=%016llx steps=%llu crashes=%llu %s\n",
                  static_cast<unsigned long long>(seed + i),
                  static_cast<unsigned long long>(result.trace),
                  static_cast<unsigned long long>(result.steps),
                  static_cast<unsigned long long>(result.crashes), result.violation.c_str());
    }
    if (result.violation.empty()) continue;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed + i),
                result.violation.c_str());
    std::printf("run it again: make sim SCHEDULES=1 SEED=%llu\n",
                static_cast<unsigned long long>(seed + i));
    std::printf("schedules=%llu violations=1 seed=%llu\n", static_cast<unsigned long long>(i + 1),
                static_cast<unsigned long long>(seed + i));
    return 1;
  }
  bettong::simulation::PrintPoints();
  std::printf("crashes=%llu steps=%llu\n", static_cast<unsigned long long>(crashes),
              static_cast<unsigned long long>(steps));
  std::printf("schedules=%llu violations=0 seed=%llu\n", static_cast<unsigned long long>(schedules),
              static_cast<unsigned long long>(seed));
  return 0;
}
