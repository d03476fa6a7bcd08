#include "grid/containers/pane_sketch.h"

#include <xxhash.h>

#include <bit>
#include <memory>

namespace bettong::grid {
namespace {

constexpr uint64_t kAnyBit = uint64_t{1} << 63;

}  // namespace

uint64_t HashOfBytes(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t PaneSketch::HashOf(uint64_t raw) const {
  if (shape_->spec.hashed != HashedValue::kNo) return raw;
  // 0.0 and -0.0 are one value.
  if (shape_->spec.is_float && std::bit_cast<double>(raw) == 0) raw = 0;
  return XXH3_64bits(&raw, sizeof(raw));
}

int32_t PaneSketch::BucketOf(uint64_t raw) const {
  return shape_->quantiles->BucketOf(shape_->spec.is_float
                                         ? std::bit_cast<double>(raw)
                                         : static_cast<double>(static_cast<int64_t>(raw)));
}

bool PaneSketch::Takes(uint64_t raw) const {
  return !shape_->quantiles || quantiles_.Takes(BucketOf(raw));
}

PaneSketch::Change PaneSketch::Add(uint64_t raw) {
  Change change;
  if (shape_->spec.distinct_bits > 0) {
    const HyperLogLog::Change of = distinct_.Add(HashOf(raw));
    change.distinct = of.any ? kAnyBit | uint64_t{of.index} << 8 | of.before : 0;
  }
  if (shape_->quantiles) {
    const int32_t bucket = BucketOf(raw);
    quantiles_.Add(bucket);
    change.quantiles = static_cast<uint64_t>(int64_t{bucket});
  }
  return change;
}

void PaneSketch::TakeBack(const Change& change) {
  if ((change.distinct & kAnyBit) != 0) {
    const uint64_t cell = change.distinct & ~kAnyBit;
    distinct_.TakeBack({.index = static_cast<uint32_t>(cell >> 8),
                        .before = static_cast<uint8_t>(cell),
                        .any = true});
  }
  if (shape_->quantiles) quantiles_.TakeBack(static_cast<int32_t>(change.quantiles));
}

void PaneSketch::Merge(const PaneSketch& other) {
  distinct_.Merge(other.distinct_);
  quantiles_.Merge(other.quantiles_);
}

std::optional<double> PaneSketch::Quantile(double share) const {
  const std::optional<int32_t> bucket = quantiles_.Quantile(share);
  if (!bucket) return std::nullopt;
  return shape_->quantiles->ValueOf(*bucket);
}

void PaneSketch::Encode(ByteWriter& out) const {
  if (shape_->spec.distinct_bits > 0) distinct_.Encode(out);
  if (shape_->quantiles) quantiles_.Encode(out);
}

bool PaneSketch::Decode(ByteReader& in) {
  return (shape_->spec.distinct_bits == 0 || distinct_.Decode(in)) &&
         (!shape_->quantiles || quantiles_.Decode(in));
}

size_t PaneSketch::heap_bytes() const {
  constexpr size_t kAllocationBytes = 16;
  return sizeof(PaneSketch) + kAllocationBytes + distinct_.heap_bytes() + quantiles_.heap_bytes();
}

int64_t AddToSketch(const WindowShape& shape, uint64_t* pane, uint64_t raw, SketchUndo* undo) {
  PaneSketch*& sketch = SketchOf(shape, pane);
  const size_t before = sketch == nullptr ? 0 : sketch->heap_bytes();
  SketchUndo done;
  if (sketch == nullptr) {
    sketch = new PaneSketch(shape);
  } else if (undo != nullptr && !sketch->Takes(raw)) {
    sketch = new PaneSketch(*sketch);
  } else {
    done.in_place = true;
  }
  done.change = sketch->Add(raw);
  if (undo != nullptr) *undo = done;
  return static_cast<int64_t>(sketch->heap_bytes()) - static_cast<int64_t>(before);
}

int64_t TakeSketchBack(const WindowShape& shape, uint64_t* pane, const uint64_t* saved) {
  const auto bytes = [](const PaneSketch* sketch) {
    return sketch == nullptr ? int64_t{0} : static_cast<int64_t>(sketch->heap_bytes());
  };
  PaneSketch* now = SketchOf(shape, pane);
  const int64_t before = bytes(now);
  const SketchUndo undo = SketchUndo::Read(saved + shape.words);
  if (undo.in_place) {
    now->TakeBack(undo.change);
  } else {
    delete now;
  }
  return bytes(SketchOf(shape, saved)) - before;
}

}  // namespace bettong::grid
