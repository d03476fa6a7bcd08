// The state of a window field: what is kept of values by their event time. Times are counted from
// the epoch, in ms; windows and panes hold their beginning and not their end.
//
// Of a class that handles no closings only the current window matters, which ends with the newest
// pane that a value has fallen into: a ring of panes (ring_window.h). Otherwise a window stays
// until the watermark has passed its end, however far newer values are (closing_window.h);
// sessions, too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grid/containers/container.h"
#include "grid/containers/pane_sketch.h"
#include "grid/containers/window_pane.h"
#include "grid/containers/window_spec.h"

namespace bettong::grid {

// One window and what is in it.
struct WindowView {
  WindowTotals totals;
  bool empty = true;  // there is no window, then nothing else counts
  TimeMs start_ms = 0, end_ms = 0;
  // Of a window that closes, if it keeps any; of the current one, ask for it.
  std::shared_ptr<const PaneSketch> sketch;
};

class Window : public Container {
 public:
  // The shape outlives all use of the window.
  static std::unique_ptr<Window> Make(const WindowShape& shape);

  enum class Added : uint8_t {
    kYes,
    kLate,      // its windows are closed, or before the current one
    kOverflow,  // an int pane's sum has no room for it
    kNoTime,    // the time is beyond kWindowTimeMax
    kFull,      // more than kOpenPanesMax panes or sessions wait for the watermark
  };
  // `watermark_ms` as of the turn; kNoTime: none yet.
  virtual Added Add(uint64_t raw, TimeMs at_ms, TimeMs watermark_ms, ContainerTurn& turn) = 0;

  // The newest window that has a value.
  virtual WindowView Current() const = 0;
  // Of it, what is read most: how many values, and of ints the sum, if the window keeps that.
  virtual uint64_t CurrentCount() const { return Current().totals.count; }
  virtual WideInt CurrentIntSum() const { return Current().totals.int_sum; }
  // Its sketches, merged.
  virtual PaneSketch CurrentSketch() const = 0;

  // Of windows that close: the one that does next, at NextDue().
  virtual WindowView Due() const { return {}; }
  // It is closed.
  virtual void CloseDue(ContainerTurn&) {}

  const WindowShape& shape() const { return shape_; }
  const WindowSpec& spec() const { return shape_.spec; }

  // The values that recorded operations add; false: malformed.
  static bool ReadValues(const WindowSpec& spec, std::string_view operations,
                         std::vector<uint64_t>& raws);

  // Of the current window.
  void AppendJson(std::string& out) const override;
  // One page: its totals, as a map.
  uint64_t AppendPage(uint64_t cursor, size_t count, std::string& tagged) const override;

 protected:
  explicit Window(const WindowShape& shape) : shape_(shape) {}

  const WindowShape& shape_;
};

// The number of the pane that a time falls into.
inline int64_t PaneNumber(TimeMs at_ms, int64_t pane_ms) {
  const int64_t number = at_ms / pane_ms;
  return at_ms % pane_ms < 0 ? number - 1 : number;
}

}  // namespace bettong::grid
