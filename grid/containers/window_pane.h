// What is kept of the values of one pane: words, by a window's shape (window_spec.h). A pane
// without values is all zero.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "grid/containers/window_spec.h"

namespace bettong::grid {

__extension__ using WideInt = __int128;

// Of the values in one or more panes. Numbers are raw: as they lie in a row, of an int or a float.
struct WindowTotals {
  uint64_t count = 0;  // 0: nothing else counts
  WideInt int_sum = 0;
  double float_sum = 0;
  uint64_t min = 0, max = 0, first = 0, last = 0;
  TimeMs first_ms = 0, last_ms = 0;
  double mean = 0, squares = 0;  // of kKeepVariance: mean, and squared distances from it
};

// Of at least one value.
inline double MeanOf(const WindowSpec& spec, const WindowTotals& of) {
  const double sum = spec.is_float ? of.float_sum : static_cast<double>(of.int_sum);
  return sum / static_cast<double>(of.count);
}
inline double VarianceOf(const WindowTotals& of) {
  return of.squares / static_cast<double>(of.count);
}

inline uint64_t PaneCount(const uint64_t* pane) { return pane[0]; }

// Whether an int pane's sum has room for the value.
bool PaneTakes(const WindowShape& shape, const uint64_t* pane, uint64_t raw);
void AddToPane(const WindowShape& shape, uint64_t* pane, uint64_t raw, TimeMs at_ms);
// Adds the pane's values to the totals; panes come in the order of time.
void MergePane(const WindowShape& shape, const uint64_t* pane, WindowTotals& totals);
// Adds the values of `other` to the pane, but for its sketch; false, and nothing done: an int sum
// has no room.
bool JoinPanes(const WindowShape& shape, uint64_t* pane, const uint64_t* other);

// A pane in an image: varint count, and if that is not 0 its other words and its sketch.
void EncodePane(const WindowShape& shape, const uint64_t* pane, ByteWriter& out);
// Into a pane without values. False: malformed.
bool DecodePane(const WindowShape& shape, ByteReader& in, uint64_t* pane);

}  // namespace bettong::grid
