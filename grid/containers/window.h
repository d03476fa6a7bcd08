// The state of a window field: panes of what is kept of the values, as a ring by pane number. A
// pane is `pane_ms` of event time, counted from the epoch; the current window ends with the newest
// pane that a value has fallen into. Adding a value costs the same however many panes there are.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "grid/containers/container.h"
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

class Window final : public Container {
 public:
  // The shape outlives all use of the window.
  static std::unique_ptr<Window> Make(const WindowShape& shape);
  static void operator delete(void* memory) { ::operator delete(memory); }

  enum class Added : uint8_t {
    kYes,
    kLate,      // its pane is before the current window
    kOverflow,  // an int pane's sum has no room for it
    kNoTime,    // the time is beyond kWindowTimeMax
  };
  Added Add(uint64_t raw, TimeMs at_ms, ContainerTurn& turn);
  // Of the current window.
  WindowTotals Totals() const;
  // Where the current window begins and ends; only if it has ever had a value.
  bool empty() const { return newest_ == kNoPane; }
  TimeMs start_ms() const { return end_ms() - spec().size_ms; }
  TimeMs end_ms() const { return (newest_ + 1) * spec().pane_ms; }

  const WindowSpec& spec() const { return shape_.spec; }

  // What a turn has recorded, one value added after the other.
  struct Operation {
    int64_t step = 0;  // of the pane from the newest; from 0 if there was none
    int64_t into_pane_ms = 0;
    uint64_t raw = 0;
  };
  // False: malformed.
  static bool ReadOperation(const WindowSpec& spec, ByteReader& in, Operation& operation);

  bool Replay(std::string_view operations) override;
  void EncodeImage(std::string& out) const override;
  bool DecodeImage(std::string_view image) override;
  void AppendJson(std::string& out) const override;
  // One page: its totals, as a map.
  uint64_t AppendPage(uint64_t cursor, size_t count, std::string& tagged) const override;
  size_t heap_bytes() const override { return shape_.heap_bytes(); }

 private:
  void TakeBack(ContainerTurn& turn, size_t undo_left) override;

  static constexpr int64_t kNoPane = INT64_MIN;

  explicit Window(const WindowShape& shape) : shape_(shape) {}
  static void* operator new(size_t size, const WindowShape& shape);

  uint64_t* words() { return reinterpret_cast<uint64_t*>(this + 1); }
  const uint64_t* words() const { return reinterpret_cast<const uint64_t*>(this + 1); }
  size_t place(int64_t number) const;
  uint64_t* pane(int64_t number) { return words() + place(number); }
  const uint64_t* pane(int64_t number) const { return words() + place(number); }
  int64_t PaneOf(TimeMs at_ms) const;
  bool SumFits(const uint64_t* pane, uint64_t raw) const;
  void Save(int64_t number, ContainerTurn& turn) const;
  // Makes the pane the newest; those skipped are empty.
  void MoveTo(int64_t number, ContainerTurn* turn);
  void AddTo(uint64_t* pane, uint64_t raw, TimeMs at_ms) const;
  void Merge(const uint64_t* pane, WindowTotals& totals) const;

  // In one piece with the panes' words, which come behind it: few lines of memory are all cold.
  const WindowShape& shape_;
  int64_t newest_ = kNoPane;
};

}  // namespace bettong::grid
