// What a pane keeps of its values beyond words: the sketches that count different values and tell
// quantiles. On the heap, its address in the pane's word `sketch`; made with the first value.
//
// A turn changes a sketch in place and notes what that was. Where a pane's sketch goes, or another
// takes its place, the old one belongs to what takes the turn back, until that counts.
#pragma once

#include <cstdint>
#include <vector>

#include "grid/containers/hyperloglog.h"
#include "grid/containers/quantile_sketch.h"
#include "grid/containers/window_spec.h"

namespace bettong::grid {

class PaneSketch {
 public:
  // The shape outlives it.
  explicit PaneSketch(const WindowShape& shape)
      : shape_(&shape), distinct_(shape.spec.distinct_bits) {}

  // Two words: what adding a value has changed.
  struct Change {
    uint64_t distinct = 0, quantiles = 0;
  };
  // Whether adding it can be taken back.
  bool Takes(uint64_t raw) const;
  Change Add(uint64_t raw);
  void TakeBack(const Change& change);
  void Merge(const PaneSketch& other);

  // Of a window that keeps them.
  double Distinct() const { return distinct_.Estimate(); }
  // 0 to 1; nullopt without values.
  std::optional<double> Quantile(double share) const;

  void Encode(ByteWriter& out) const;
  bool Decode(ByteReader& in);
  size_t heap_bytes() const;

 private:
  uint64_t HashOf(uint64_t raw) const;
  int32_t BucketOf(uint64_t raw) const;

  const WindowShape* shape_;
  HyperLogLog distinct_;
  QuantileSketch quantiles_;
};

// A pane's; null without values, or where the window keeps none.
inline PaneSketch*& SketchOf(const WindowShape& shape, uint64_t* pane) {
  return reinterpret_cast<PaneSketch*&>(pane[shape.sketch]);
}
inline const PaneSketch* SketchOf(const WindowShape& shape, const uint64_t* pane) {
  return reinterpret_cast<const PaneSketch*>(pane[shape.sketch]);
}

// For what takes a turn back: behind the words of a pane that a container has saved.
struct SketchUndo {
  static constexpr size_t kWords = 3;
  // In place: by `change`. Else the saved pane's sketch is the undo's, and the one in place goes.
  bool in_place = false;
  PaneSketch::Change change;

  void Push(std::vector<uint64_t>& undo) const {
    undo.insert(undo.end(), {in_place, change.distinct, change.quantiles});
  }
  static SketchUndo Read(const uint64_t* words) {
    return {.in_place = words[0] != 0, .change = {words[1], words[2]}};
  }
};

// The value into the pane's sketch, made if there is none; by how many bytes it has grown. With an
// undo it says there what is to be saved, and what of the pane it has put another in place of is
// not destroyed.
int64_t AddToSketch(const WindowShape& shape, uint64_t* pane, uint64_t raw, SketchUndo* undo);

// Makes the pane's sketch what it was when its words were saved, an undo behind them; answers by
// how many bytes that is more. The words are the caller's business.
int64_t TakeSketchBack(const WindowShape& shape, uint64_t* pane, const uint64_t* saved);

// The text's or the bytes' 64 bits, by which a window knows them.
uint64_t HashOfBytes(std::string_view bytes);

}  // namespace bettong::grid
