#include "grid/containers/pane_fold.h"

#include <bit>

namespace bettong::grid {

void PaneFold::Load(WindowTotals& totals) const {
  totals.count = words_[kCount];
  if (totals.count == 0) return;
  if (shape_.sum > 0 && shape_.spec.is_float) {
    totals.float_sum = std::bit_cast<double>(at(shape_.sum));
  } else if (shape_.sum > 0) {
    totals.int_sum = int_sum();
  }
  if (shape_.min > 0) totals.min = at(shape_.min);
  if (shape_.max > 0) totals.max = at(shape_.max);
  if (shape_.first > 0) {
    totals.first = at(shape_.first), totals.first_ms = static_cast<TimeMs>(at(shape_.first + 1));
  }
  if (shape_.last > 0) {
    totals.last = at(shape_.last), totals.last_ms = static_cast<TimeMs>(at(shape_.last + 1));
  }
  if (shape_.variance > 0) {
    totals.mean = std::bit_cast<double>(at(shape_.variance));
    totals.squares = std::bit_cast<double>(at(shape_.variance + 1));
  }
}

void PaneFold::Store(const WindowTotals& totals) {
  words_[kCount] = totals.count;
  if (shape_.sum > 0 && shape_.spec.is_float) {
    at(shape_.sum) = std::bit_cast<uint64_t>(totals.float_sum);
  } else if (shape_.sum > 0) {
    at(shape_.sum) = static_cast<uint64_t>(totals.int_sum);
    words_[kHigh] = static_cast<uint64_t>(totals.int_sum >> 64);
  }
  if (shape_.min > 0) at(shape_.min) = totals.min;
  if (shape_.max > 0) at(shape_.max) = totals.max;
  if (shape_.first > 0) {
    at(shape_.first) = totals.first, at(shape_.first + 1) = static_cast<uint64_t>(totals.first_ms);
  }
  if (shape_.last > 0) {
    at(shape_.last) = totals.last, at(shape_.last + 1) = static_cast<uint64_t>(totals.last_ms);
  }
  if (shape_.variance > 0) {
    at(shape_.variance) = std::bit_cast<uint64_t>(totals.mean);
    at(shape_.variance + 1) = std::bit_cast<uint64_t>(totals.squares);
  }
}

void PaneFold::AddNewer(const uint64_t* pane) {
  if (PaneCount(pane) == 0) return;
  WindowTotals totals;
  Load(totals);
  MergePane(shape_, pane, totals);
  Store(totals);
}

// A float sum would have to be added up in another order.
void PaneFold::AddLate(uint64_t raw, TimeMs at_ms) {
  if (shape_.spec.is_float || shape_.variance > 0) return Drop();
  WindowTotals totals;
  Load(totals);
  const auto value = static_cast<int64_t>(raw);
  const bool none = totals.count++ == 0;
  totals.int_sum += value;
  if (none || value < static_cast<int64_t>(totals.min)) totals.min = raw;
  if (none || value > static_cast<int64_t>(totals.max)) totals.max = raw;
  if (none || at_ms < totals.first_ms) totals.first = raw, totals.first_ms = at_ms;
  if (none || at_ms >= totals.last_ms) totals.last = raw, totals.last_ms = at_ms;
  Store(totals);
}

void PaneFold::TakeOldest(const uint64_t* pane) {
  const uint64_t leaving = PaneCount(pane);
  if (leaving == 0) return;
  const bool all = leaving == words_[kCount];
  const bool inexact = (shape_.spec.is_float && shape_.sum > 0) || shape_.variance > 0;
  const bool least = shape_.min > 0 && at(shape_.min) == pane[shape_.min];
  const bool most = shape_.max > 0 && at(shape_.max) == pane[shape_.max];
  if (all) return Store({});
  if (inexact || least || most || shape_.first > 0) return Drop();
  WindowTotals totals;
  Load(totals);
  totals.count -= leaving;
  if (shape_.sum > 0) totals.int_sum -= static_cast<int64_t>(pane[shape_.sum]);
  Store(totals);
}

}  // namespace bettong::grid
