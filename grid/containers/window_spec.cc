#include "grid/containers/window_spec.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "base/bytes.h"

namespace bettong::grid {

namespace {
constexpr uint8_t kFloatBit = 1, kClosesBit = 2;
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
  return "";
}

void WindowSpec::Encode(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Fixed(kind);
  bytes.Fixed(static_cast<uint8_t>((is_float ? kFloatBit : 0) | (closes ? kClosesBit : 0)));
  bytes.Fixed(keeps);
  bytes.Varint(static_cast<uint64_t>(size_ms));
  bytes.Varint(static_cast<uint64_t>(pane_ms));
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
  if (!in.ok() || !in.empty() || !kinds || bits > (kFloatBit | kClosesBit) ||
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
}

}  // namespace bettong::grid
