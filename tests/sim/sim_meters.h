// A part of the simulated app: windows of event time, fed by a handler and by the engine, of
// entities that end by that clock. Times of samples do not fall. So it is known beforehand what
// each window has when it closes, and what a handler finds in the sliding one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/sim/scheduler.h"
#include "tests/sim/sim_parts.h"
#include "tests/sim/sim_windows.h"

namespace bettong::sim {

// `lateness_ms`: of the stream "samples". `batch_max`: so many samples may share a turn.
void DeclareMeters(grid::Catalog& catalog, int64_t lateness_ms, uint32_t batch_max);
void DefineMeters(const grid::Catalog& catalog, compute::InlineHost& host);

class Meters {
 public:
  std::vector<std::string> MakeEvents(Scheduler& scheduler, int64_t lateness_ms, Letters& letters);

  std::string CheckOutputs(const OutputLines& lines) const;
  std::string CheckState(const Rows& rows) const;

 private:
  using Life = std::vector<TimedValue>;
  struct Meter {
    std::vector<Life> lives;
    int64_t last_ms = 0;  // of all events, those that fail as well
  };
  // A window that is to close.
  struct Closing {
    Totals totals;
    size_t life = 0;
  };
  // By the field's name.
  using Closings = std::map<std::string, std::vector<Closing>, std::less<>>;
  class Check;

  std::string Sample(Scheduler& scheduler, const std::string& key, int64_t at_ms, Letters& letters);
  static Closings ClosingsOf(const Meter& meter);

  int64_t lateness_ms_ = 0;
  std::map<std::string, Meter> meters_;
  int64_t failing_ = 0;
};

}  // namespace bettong::sim
