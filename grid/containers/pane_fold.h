// The panes of a ring but the newest, folded together in the order of time, so that reading a
// window costs the same however many panes it has. It lies in the window's own memory, by its
// shape, and is no state: it says exactly what folding the panes again would, to the last bit, or
// nothing.
//
// Counts and sums of ints are taken out as panes leave. A float sum, a variance or an extreme
// cannot be: where the pane that leaves had a part in it, the fold is dropped, and made again when
// somebody reads.
#pragma once

#include <cstdint>

#include "grid/containers/window_pane.h"

namespace bettong::grid {

class PaneFold {
 public:
  // Of the window's memory; a window of one pane has none.
  static size_t Words(const WindowShape& shape) {
    return shape.panes == 1 ? 0 : shape.words + kMoreWords;
  }
  PaneFold(const WindowShape& shape, uint64_t* words) : shape_(shape), words_(words) {}

  bool valid() const { return words_[kCount] != kDropped; }
  void Drop() { words_[kCount] = kDropped; }

  // What it says, if it is valid; and what it is to say.
  uint64_t count() const { return words_[kCount]; }
  WideInt int_sum() const {
    if (words_[kCount] == 0) return 0;
    return static_cast<WideInt>(static_cast<int64_t>(words_[kHigh])) << 64 |
           static_cast<WideInt>(at(shape_.sum));
  }
  void Load(WindowTotals& totals) const;
  void Store(const WindowTotals& totals);

  // Of a valid one; each leaves it exact, or drops it.
  void AddNewer(const uint64_t* pane);       // newer than all it has
  void AddLate(uint64_t raw, TimeMs at_ms);  // into one of its panes
  void TakeOldest(const uint64_t* pane);     // out of it

 private:
  // The count, the upper half of an int sum, then what the shape has, without the count. Words of
  // the variance are its mean and squares.
  static constexpr size_t kCount = 0, kHigh = 1, kMoreWords = 1;
  static constexpr uint64_t kDropped = UINT64_MAX;

  uint64_t& at(uint32_t word) { return words_[word + kMoreWords]; }
  uint64_t at(uint32_t word) const { return words_[word + kMoreWords]; }

  const WindowShape& shape_;
  uint64_t* words_;
};

}  // namespace bettong::grid
