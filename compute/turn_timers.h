// What a turn does to the timers of its entity. The runner's, who undoes it with the turn.
#pragma once

#include <algorithm>
#include <utility>

#include "grid/containers/timers.h"

namespace bettong::compute {

struct TurnTimers {
  grid::Timers* all = nullptr;
  grid::ContainerTurn changes;
  TimeMs from_ms = kNoTime;      // delays count from here; kNoTime: no event has told the time
  TimeMs earliest_ms = kNoTime;  // what a turn sets comes after it

  grid::Timers::SetResult Set(grid::Timer timer) {
    timer.due_ms = std::max(timer.due_ms, earliest_ms);
    return all->Set(std::move(timer), changes);
  }
  bool Cancel(std::string_view name) { return all->Cancel(name, changes); }
};

}  // namespace bettong::compute
