#include "grid/containers/window_spec.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace bettong::grid {

namespace {
constexpr uint8_t kFloatBit = 1, kClosesBit = 2, kTextBit = 4, kBytesBit = 8, kDistinctBit = 16,
                  kQuantilesBit = 32;
constexpr uint8_t kAllBits = 63;
}  // namespace

std::string_view NameOf(WindowKind kind) {
  switch (kind) {
    case WindowKind::kTumbling:
      return "Tumbling";
    case WindowKind::kSliding:
      return "Sliding";
    case WindowKind::kSession:
      return "Session";
  }
  return "";
}

std::string WindowSpec::Check() const {
  if (size_ms > kWindowSizeMaxMs) return "a window is shorter than 285,000 years";
  if (size_ms <= 0) return absl::StrCat("a window is longer than ", size_ms, " ms");
  if (pane_ms <= 0) return absl::StrCat("a pane is longer than ", pane_ms, " ms");
  if (size_ms % pane_ms != 0) {
    return absl::StrCat("a window of ", size_ms, " ms has no whole number of panes of ", pane_ms,
                        " ms");
  }
  if (kind == WindowKind::kTumbling && pane_ms != size_ms) {
    return "a tumbling window has one pane";
  }
  if (kind == WindowKind::kSession && (pane_ms != size_ms || !closes)) {
    return "a session window has no panes, and closes";
  }
  if (panes() > kWindowPanesMax) {
    return absl::StrCat("a window has up to ", kWindowPanesMax, " panes, not ", panes());
  }
  if (distinct_bits != 0 &&
      (distinct_bits < kDistinctBitsMin || distinct_bits > kDistinctBitsMax)) {
    return absl::StrCat("different values are counted with 2^", kDistinctBitsMin, " to 2^",
                        kDistinctBitsMax, " registers, not 2^", distinct_bits);
  }
  if (quantile_error_ppm != 0 &&
      (quantile_error_ppm < kQuantileErrorMinPpm || quantile_error_ppm > kQuantileErrorMaxPpm)) {
    return absl::StrCat("the error of quantiles is ", kQuantileErrorMinPpm, " to ",
                        kQuantileErrorMaxPpm, " millionths, not ", quantile_error_ppm);
  }
  if (hashed != HashedValue::kNo && (is_float || keeps != 0 || quantile_error_ppm != 0)) {
    return "of texts and bytes only different ones are counted";
  }
  return "";
}

void WindowSpec::Encode(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Fixed(kind);
  bytes.Fixed(static_cast<uint8_t>((is_float ? kFloatBit : 0) | (closes ? kClosesBit : 0) |
                                   (hashed == HashedValue::kText ? kTextBit : 0) |
                                   (hashed == HashedValue::kBytes ? kBytesBit : 0) |
                                   (distinct_bits > 0 ? kDistinctBit : 0) |
                                   (quantile_error_ppm > 0 ? kQuantilesBit : 0)));
  bytes.Fixed(keeps);
  bytes.Varint(static_cast<uint64_t>(size_ms));
  bytes.Varint(static_cast<uint64_t>(pane_ms));
  if (distinct_bits > 0) bytes.Fixed(distinct_bits);
  if (quantile_error_ppm > 0) bytes.Varint(quantile_error_ppm);
}

std::optional<WindowSpec> WindowSpec::Decode(std::string_view encoded) {
  ByteReader in(encoded);
  WindowSpec spec;
  spec.kind = in.Fixed<WindowKind>();
  const auto bits = in.Fixed<uint8_t>();
  spec.is_float = (bits & kFloatBit) != 0;
  spec.closes = (bits & kClosesBit) != 0;
  spec.keeps = in.Fixed<uint8_t>();
  const uint64_t size_ms = in.Varint(), pane_ms = in.Varint();
  const bool kinds = spec.kind >= WindowKind::kTumbling && spec.kind <= WindowKind::kSession;
  const bool both = (bits & kTextBit) != 0 && (bits & kBytesBit) != 0;
  if ((bits & kTextBit) != 0) spec.hashed = HashedValue::kText;
  if ((bits & kBytesBit) != 0) spec.hashed = HashedValue::kBytes;
  if ((bits & kDistinctBit) != 0) spec.distinct_bits = in.Fixed<uint8_t>();
  const uint64_t ppm = (bits & kQuantilesBit) != 0 ? in.Varint() : 0;
  spec.quantile_error_ppm = static_cast<uint32_t>(std::min<uint64_t>(ppm, UINT32_MAX));
  const bool said = spec.has_sketch() == ((bits & (kDistinctBit | kQuantilesBit)) != 0);
  if (!in.ok() || !in.empty() || !kinds || both || !said || bits > kAllBits ||
      spec.keeps > kKeepAll || size_ms > INT64_MAX || pane_ms > INT64_MAX) {
    return std::nullopt;
  }
  spec.size_ms = static_cast<int64_t>(size_ms);
  spec.pane_ms = static_cast<int64_t>(pane_ms);
  if (!spec.Check().empty()) return std::nullopt;
  return spec;
}

WindowShape::WindowShape(const WindowSpec& of) : spec(of), panes(of.panes()) {
  const auto take = [&](uint8_t bit, uint32_t count) {
    return (of.keeps & bit) == 0 ? 0 : std::exchange(words, words + count);
  };
  sum = take(kKeepSum, 1);
  min = take(kKeepMin, 1);
  max = take(kKeepMax, 1);
  first = take(kKeepFirst, 2);
  last = take(kKeepLast, 2);
  variance = take(kKeepVariance, 2);
  if (of.has_sketch()) sketch = std::exchange(words, words + 1);
  BETTONG_CHECK(words <= kWordsMax);
  if (of.quantile_error_ppm > 0) quantiles.emplace(of.quantile_error_ppm);
}

}  // namespace bettong::grid
