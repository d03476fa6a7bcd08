// A window of which only the current one matters: a ring by pane number, in one piece of memory.
// Adding a value costs the same however many panes there are, and so does reading, unless a pane
// has left since (pane_fold.h).
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "grid/containers/pane_fold.h"
#include "grid/containers/window.h"

namespace bettong::grid {

class RingWindow final : public Window {
 public:
  static std::unique_ptr<RingWindow> Make(const WindowShape& shape);
  static void operator delete(void* memory) { ::operator delete(memory); }
  ~RingWindow() override;

  Added Add(uint64_t raw, TimeMs at_ms, TimeMs watermark_ms, ContainerTurn& turn) override;
  WindowView Current() const override;
  uint64_t CurrentCount() const override;
  WideInt CurrentIntSum() const override;
  PaneSketch CurrentSketch() const override;
  void Commit(ContainerTurn& turn) override;

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
  size_t heap_bytes() const override;

 private:
  static constexpr int64_t kNoPane = INT64_MIN;

  explicit RingWindow(const WindowShape& shape) : Window(shape) {}
  static void* operator new(size_t size, const WindowShape& shape);
  void TakeBack(ContainerTurn& turn, size_t undo_left) override;

  // Behind the header: the fold, the panes, the bytes of all sketches if there are any.
  static size_t WordsOf(const WindowShape& shape) {
    return PaneFold::Words(shape) + static_cast<size_t>(shape.panes) * shape.words +
           (shape.sketch > 0 ? 1 : 0);
  }
  const uint64_t* behind() const { return reinterpret_cast<const uint64_t*>(this + 1); }
  uint64_t* behind() { return reinterpret_cast<uint64_t*>(this + 1); }
  const uint64_t* words() const { return behind() + PaneFold::Words(shape_); }
  uint64_t* words() { return behind() + PaneFold::Words(shape_); }
  bool has_fold() const { return shape_.panes > 1; }
  // Whoever has the window may bring the fold up to date, to whom the rest is constant.
  PaneFold fold() const { return {shape_, const_cast<RingWindow*>(this)->behind()}; }
  int64_t NumberOf(TimeMs at_ms) const;
  size_t place(int64_t number) const;
  uint64_t* pane(int64_t number) { return words() + place(number); }
  const uint64_t* pane(int64_t number) const { return words() + place(number); }
  uint64_t& sketch_bytes() { return behind()[WordsOf(shape_) - 1]; }
  // What is about to become of a pane. Of a sketch: as it says.
  void Save(int64_t number, const uint64_t* pane, ContainerTurn& turn,
            const SketchUndo& sketch = {}) const;
  size_t undo_words() const {
    return 2 + shape_.words + (shape_.sketch > 0 ? SketchUndo::kWords : 0);
  }
  void AddTo(int64_t number, uint64_t* pane, uint64_t raw, TimeMs at_ms, ContainerTurn* turn);
  void MoveFold(int64_t cleared);
  // Makes the pane the newest; those skipped are empty.
  void MoveTo(int64_t number, ContainerTurn* turn);

  // In one piece with the panes' words, which come behind it: few lines of memory are all cold.
  int64_t newest_ = kNoPane;
};

}  // namespace bettong::grid
