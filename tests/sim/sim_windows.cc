#include "tests/sim/sim_windows.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace bettong::sim {

void Totals::Add(int64_t value) {
  min = count == 0 ? value : std::min(min, value);
  max = count == 0 ? value : std::max(max, value);
  sum += value;
  ++count;
}

std::string Totals::Json() const {
  return absl::StrCat("\"start\":", start_ms, ",\"end\":", end_ms, ",\"count\":", count,
                      ",\"sum\":", sum, ",\"min\":", min, ",\"max\":", max);
}

Totals TotalsOf(const grid::WindowView& view) {
  return {.start_ms = view.start_ms,
          .end_ms = view.end_ms,
          .count = static_cast<int64_t>(view.totals.count),
          .sum = static_cast<int64_t>(view.totals.int_sum),
          .min = static_cast<int64_t>(view.totals.min),
          .max = static_cast<int64_t>(view.totals.max)};
}

Totals TotalsOf(const std::vector<TimedValue>& values, int64_t start_ms, int64_t end_ms) {
  Totals totals{.start_ms = start_ms, .end_ms = end_ms};
  for (const TimedValue& each : values) {
    if (each.at_ms >= start_ms && each.at_ms < end_ms) totals.Add(each.value);
  }
  return totals;
}

std::vector<Totals> SlidingWindows(const std::vector<TimedValue>& values, int64_t size_ms,
                                   int64_t pane_ms) {
  std::vector<Totals> windows;
  if (values.empty()) return windows;
  const int64_t first_end_ms = values.front().at_ms / pane_ms * pane_ms + pane_ms;
  const int64_t last_end_ms = values.back().at_ms / pane_ms * pane_ms + size_ms;
  for (int64_t end_ms = first_end_ms; end_ms <= last_end_ms; end_ms += pane_ms) {
    const Totals totals = TotalsOf(values, end_ms - size_ms, end_ms);
    if (totals.count > 0) windows.push_back(totals);
  }
  return windows;
}

std::vector<Totals> Sessions(const std::vector<TimedValue>& values, int64_t gap_ms) {
  std::vector<Totals> sessions;
  for (const TimedValue& each : values) {
    if (sessions.empty() || each.at_ms >= sessions.back().end_ms) {
      sessions.push_back({.start_ms = each.at_ms});
    }
    sessions.back().Add(each.value);
    sessions.back().end_ms = each.at_ms + gap_ms;
  }
  return sessions;
}

}  // namespace bettong::sim
