// A part of the simulated app: entities that set, replace and cancel timers by name, by the wall
// clock (Reminder) and by that of their events (Date). They emit what they do and what rings; a
// timer rings once, when it is due and before any turn that comes later, unless it was replaced,
// cancelled or went with its entity by then.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/sim/scheduler.h"
#include "tests/sim/sim_parts.h"

namespace bettong::sim {

void DeclareReminders(grid::Catalog& catalog);
void DefineReminders(const grid::Catalog& catalog, compute::InlineHost& host);

// Of one of the two classes.
class Reminders {
 public:
  enum class Clock : uint8_t { kWall, kEvent };
  explicit Reminders(Clock clock) : clock_(clock) {}

  // For the stream "plans" or "dates".
  std::vector<std::string> MakeEvents(Scheduler& scheduler, Letters& letters);

  std::string CheckOutputs(const OutputLines& lines) const;
  std::string CheckState(const Rows& rows) const;

 private:
  struct Plan {
    const char* what = "set";  // or "cancel", "delete"
    std::string name;
    int64_t delay_ms = 0;
    int64_t chain = 0;  // so often the timer sets itself again
    bool timer_fails = false;
  };
  class Check;

  const char* part() const { return clock_ == Clock::kWall ? "reminders" : "dates"; }
  Plan MakePlan(Scheduler& scheduler, size_t entity);

  const Clock clock_;
  std::map<std::string, std::vector<Plan>> plans_;  // by n - 1
  int64_t failing_ = 0;
  int64_t over_ms_ = kNeverExpires - 1;  // event time: how far the watermark comes
};

}  // namespace bettong::sim
