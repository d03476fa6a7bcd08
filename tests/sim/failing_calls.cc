#include "tests/sim/failing_calls.h"

#include <cctype>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/schedule.h"

namespace bettong::sim {
namespace {

struct Kind {
  const char* name;
  FailingCall call;
};

constexpr Kind kKinds[] = {
    {"EIO", {.error = DiskError::kInputOutput, .once = true}},
    {"EIO for a while", {.error = DiskError::kInputOutput}},
    {"ENOSPC", {.error = DiskError::kNoSpace, .once = true}},
    {"ENOSPC for a while", {.error = DiskError::kNoSpace}},
};

struct Tally {
  uint64_t ended = 0, went_on = 0;  // the process
};

// "write data/shard-03/00000012.log" -> "write data/shard-N/N.log"
std::string SiteOf(const std::string& call) {
  std::string site;
  for (const char c : call) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) {
      site.push_back(c);
    } else if (site.empty() || site.back() != 'N') {
      site.push_back('N');
    }
  }
  return site;
}

}  // namespace

FailingCallsResult RunFailingCalls(uint64_t seed, uint64_t seeds, uint64_t stride, uint64_t only) {
  FailingCallsResult result;
  std::map<std::string, Tally> sites;
  std::map<std::string, uint64_t> calls_of_site;
  for (uint64_t of = seed; of < seed + seeds; ++of) {
    std::vector<std::string> calls;
    RunSchedule(of, {.failing_call = FailingCall{UINT64_MAX}, .calls = &calls});
    result.calls += calls.size();
    for (uint64_t number = 1; number <= calls.size(); ++number) {
      if (only != 0 && number != only) continue;
      if (calls_of_site[SiteOf(calls[number - 1])]++ % stride != 0) continue;
      for (const Kind& kind : kKinds) {
        FailingCall call = kind.call;
        call.number = number;
        const ScheduleResult run = RunSchedule(of, {.failing_call = call});
        ++result.runs;
        Tally& tally = sites[SiteOf(run.struck) + ", " + kind.name];
        ++(run.ended ? tally.ended : tally.went_on);
        if (run.violation.empty()) continue;
        ++result.violations;
        std::printf("seed %llu, call %llu (%s) fails with %s: %s\n",
                    static_cast<unsigned long long>(of), static_cast<unsigned long long>(number),
                    run.struck.c_str(), kind.name, run.violation.c_str());
      }
    }
  }
  for (const auto& [site, tally] : sites) {
    std::printf("failed %s: the process ended %llu times, went on %llu times\n", site.c_str(),
                static_cast<unsigned long long>(tally.ended),
                static_cast<unsigned long long>(tally.went_on));
  }
  std::printf("sites=%zu\n", sites.size());
  return result;
}

}  // namespace bettong::sim
