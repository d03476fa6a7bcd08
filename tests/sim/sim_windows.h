// What windows must have in them, worked out from scratch.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "grid/containers/window.h"

namespace bettong::sim {

struct TimedValue {
  int64_t at_ms = 0, value = 0;
};

// A window and what is in it.
struct Totals {
  int64_t start_ms = 0, end_ms = 0;
  int64_t count = 0, sum = 0, min = 0, max = 0;

  void Add(int64_t value);
  bool operator==(const Totals&) const = default;
  // As members of a JSON object.
  std::string Json() const;
};

Totals TotalsOf(const grid::WindowView& view);
// Of the values in [start, end).
Totals TotalsOf(const std::vector<TimedValue>& values, int64_t start_ms, int64_t end_ms);
// All windows with values, in the order in which they end. Of values in the order of time.
std::vector<Totals> SlidingWindows(const std::vector<TimedValue>& values, int64_t size_ms,
                                   int64_t pane_ms);
std::vector<Totals> Sessions(const std::vector<TimedValue>& values, int64_t gap_ms);

}  // namespace bettong::sim
