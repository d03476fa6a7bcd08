#include "grid/containers/window_pane.h"

#include <bit>

#include "grid/containers/pane_sketch.h"

namespace bettong::grid {
namespace {

double FloatOf(uint64_t raw) { return std::bit_cast<double>(raw); }
uint64_t RawOf(double value) { return std::bit_cast<uint64_t>(value); }

bool Less(bool is_float, uint64_t a, uint64_t b) {
  return is_float ? FloatOf(a) < FloatOf(b) : static_cast<int64_t>(a) < static_cast<int64_t>(b);
}
double NumberOf(bool is_float, uint64_t raw) {
  return is_float ? FloatOf(raw) : static_cast<double>(static_cast<int64_t>(raw));
}

// Chan, Golub and LeVeque: mean and squared distances of two sets of values together.
void JoinVariance(double count, double& mean, double& squares, double other_count,
                  double other_mean, double other_squares) {
  const double away = other_mean - mean, all = count + other_count;
  mean += away * other_count / all;
  squares += other_squares + away * away * count * other_count / all;
}

}  // namespace

bool PaneTakes(const WindowShape& shape, const uint64_t* pane, uint64_t raw) {
  if (shape.spec.is_float || shape.sum == 0 || pane[0] == 0) return true;
  int64_t sum;
  return !__builtin_add_overflow(static_cast<int64_t>(pane[shape.sum]), static_cast<int64_t>(raw),
                                 &sum);
}

void AddToPane(const WindowShape& shape, uint64_t* pane, uint64_t raw, TimeMs at_ms) {
  const bool is_float = shape.spec.is_float;
  const bool none = pane[0]++ == 0;
  if (shape.sum > 0) {
    pane[shape.sum] = none       ? raw
                      : is_float ? RawOf(FloatOf(pane[shape.sum]) + FloatOf(raw))
                                 : pane[shape.sum] + raw;
  }
  if (shape.min > 0 && (none || Less(is_float, raw, pane[shape.min]))) pane[shape.min] = raw;
  if (shape.max > 0 && (none || Less(is_float, pane[shape.max], raw))) pane[shape.max] = raw;
  const auto time = static_cast<uint64_t>(at_ms);
  if (shape.first > 0 && (none || at_ms < static_cast<TimeMs>(pane[shape.first + 1]))) {
    pane[shape.first] = raw, pane[shape.first + 1] = time;
  }
  if (shape.last > 0 && (none || at_ms >= static_cast<TimeMs>(pane[shape.last + 1]))) {
    pane[shape.last] = raw, pane[shape.last + 1] = time;
  }
  if (shape.variance > 0) {  // Welford
    const double value = NumberOf(is_float, raw);
    const double mean = none ? 0 : FloatOf(pane[shape.variance]);
    const double squares = none ? 0 : FloatOf(pane[shape.variance + 1]);
    const double away = value - mean;
    const double new_mean = mean + away / static_cast<double>(pane[0]);
    pane[shape.variance] = RawOf(new_mean);
    pane[shape.variance + 1] = RawOf(squares + away * (value - new_mean));
  }
}

void MergePane(const WindowShape& shape, const uint64_t* pane, WindowTotals& totals) {
  if (pane[0] == 0) return;
  const bool is_float = shape.spec.is_float;
  const bool none = totals.count == 0;
  const auto before = static_cast<double>(totals.count), more = static_cast<double>(pane[0]);
  totals.count += pane[0];
  if (shape.sum > 0) {
    is_float ? void(totals.float_sum += FloatOf(pane[shape.sum]))
             : void(totals.int_sum += static_cast<int64_t>(pane[shape.sum]));
  }
  if (shape.min > 0 && (none || Less(is_float, pane[shape.min], totals.min))) {
    totals.min = pane[shape.min];
  }
  if (shape.max > 0 && (none || Less(is_float, totals.max, pane[shape.max]))) {
    totals.max = pane[shape.max];
  }
  if (shape.first > 0 && none) {
    totals.first = pane[shape.first];
    totals.first_ms = static_cast<TimeMs>(pane[shape.first + 1]);
  }
  if (shape.last > 0) {
    totals.last = pane[shape.last];
    totals.last_ms = static_cast<TimeMs>(pane[shape.last + 1]);
  }
  if (shape.variance > 0) {
    const double mean = FloatOf(pane[shape.variance]);
    const double squares = FloatOf(pane[shape.variance + 1]);
    if (none) {
      totals.mean = mean, totals.squares = squares;
    } else {
      JoinVariance(before, totals.mean, totals.squares, more, mean, squares);
    }
  }
}

bool JoinPanes(const WindowShape& shape, uint64_t* pane, const uint64_t* other) {
  const bool is_float = shape.spec.is_float;
  if (other[0] == 0) return true;
  if (pane[0] == 0) {
    for (uint32_t i = 0; i < shape.words; ++i) {
      if (i != shape.sketch || shape.sketch == 0) pane[i] = other[i];
    }
    return true;
  }
  if (shape.sum > 0 && !PaneTakes(shape, pane, other[shape.sum])) return false;
  const auto before = static_cast<double>(pane[0]), more = static_cast<double>(other[0]);
  pane[0] += other[0];
  if (shape.sum > 0) {
    pane[shape.sum] = is_float ? RawOf(FloatOf(pane[shape.sum]) + FloatOf(other[shape.sum]))
                               : pane[shape.sum] + other[shape.sum];
  }
  if (shape.min > 0 && Less(is_float, other[shape.min], pane[shape.min])) {
    pane[shape.min] = other[shape.min];
  }
  if (shape.max > 0 && Less(is_float, pane[shape.max], other[shape.max])) {
    pane[shape.max] = other[shape.max];
  }
  const auto time = [](const uint64_t* words, uint32_t at) {
    return static_cast<TimeMs>(words[at + 1]);
  };
  if (shape.first > 0 && time(other, shape.first) < time(pane, shape.first)) {
    pane[shape.first] = other[shape.first], pane[shape.first + 1] = other[shape.first + 1];
  }
  if (shape.last > 0 && time(other, shape.last) >= time(pane, shape.last)) {
    pane[shape.last] = other[shape.last], pane[shape.last + 1] = other[shape.last + 1];
  }
  if (shape.variance > 0) {
    double mean = FloatOf(pane[shape.variance]), squares = FloatOf(pane[shape.variance + 1]);
    JoinVariance(before, mean, squares, more, FloatOf(other[shape.variance]),
                 FloatOf(other[shape.variance + 1]));
    pane[shape.variance] = RawOf(mean), pane[shape.variance + 1] = RawOf(squares);
  }
  return true;
}

void EncodePane(const WindowShape& shape, const uint64_t* pane, ByteWriter& out) {
  out.Varint(pane[0]);
  if (pane[0] == 0) return;
  for (uint32_t i = 1; i < shape.words; ++i) {
    if (i != shape.sketch) out.Fixed(pane[i]);
  }
  if (shape.sketch > 0) SketchOf(shape, pane)->Encode(out);
}

bool DecodePane(const WindowShape& shape, ByteReader& in, uint64_t* pane) {
  pane[0] = in.Varint();
  if (pane[0] == 0) return in.ok();
  for (uint32_t i = 1; i < shape.words; ++i) {
    if (i != shape.sketch) pane[i] = in.Fixed<uint64_t>();
  }
  if (shape.sketch == 0) return in.ok();
  SketchOf(shape, pane) = new PaneSketch(shape);
  return SketchOf(shape, pane)->Decode(in) && in.ok();
}

}  // namespace bettong::grid
