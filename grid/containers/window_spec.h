// What a window field of a class is: how long, in which panes, and what is kept of the values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "grid/containers/hyperloglog.h"
#include "grid/containers/quantile_sketch.h"

namespace bettong::grid {

inline constexpr int64_t kWindowPanesMax = 4096;
inline constexpr int64_t kWindowSizeMaxMs = int64_t{1} << 53;
inline constexpr TimeMs kWindowTimeMax = TimeMs{1} << 61;  // of a value, and below zero as much

// Panes, or sessions, of one window field that wait for the watermark.
inline constexpr size_t kOpenPanesMax = 4096;

// A session goes on while values are less than `size_ms` apart, and ends that long after the last.
enum class WindowKind : uint8_t { kTumbling = 1, kSliding = 2, kSession = 3 };
std::string_view NameOf(WindowKind kind);

// What is kept of the values beside their count; bits.
enum WindowKeeps : uint8_t {
  kKeepSum = 1 << 0,
  kKeepMin = 1 << 1,
  kKeepMax = 1 << 2,
  kKeepFirst = 1 << 3,     // by time, then by arrival
  kKeepLast = 1 << 4,      // likewise
  kKeepVariance = 1 << 5,  // as mean and sum of squared distances from it
};
inline constexpr uint8_t kKeepAll = (1 << 6) - 1;

// Values that are only told apart, by a hash: texts, bytes.
enum class HashedValue : uint8_t { kNo, kText, kBytes };

struct WindowSpec {
  WindowKind kind = WindowKind::kSliding;
  bool is_float = true;
  // Windows stay until the watermark has passed them (ClosingWindow), as sessions always do;
  // otherwise the newest is all there is (RingWindow).
  bool closes = false;
  uint8_t keeps = kKeepSum | kKeepMin | kKeepMax;
  int64_t size_ms = 0;
  int64_t pane_ms = 0;  // tumbling, session: its size
  HashedValue hashed = HashedValue::kNo;
  uint8_t distinct_bits = 0;        // of a HyperLogLog; 0: different values are not counted
  uint32_t quantile_error_ppm = 0;  // of a QuantileSketch; 0: quantiles are not kept

  int64_t panes() const { return size_ms / pane_ms; }
  bool has_sketch() const { return distinct_bits > 0 || quantile_error_ppm > 0; }
  // How raw values stand in operations: 8 bytes, or as ints.
  bool is_wide() const { return is_float || hashed != HashedValue::kNo; }
  bool operator==(const WindowSpec&) const = default;

  // Empty, or what is wrong.
  std::string Check() const;
  // As it stands in a class's logged schema.
  void Encode(std::string& out) const;
  static std::optional<WindowSpec> Decode(std::string_view bytes);
};

// A spec with where things lie in a window of it.
struct WindowShape {
  explicit WindowShape(const WindowSpec& of);

  WindowSpec spec;
  int64_t panes;
  // Of a pane's words: what is kept, and how many there are; 0: not kept. The count is the first.
  uint32_t sum = 0, min = 0, max = 0, first = 0, last = 0, variance = 0;
  uint32_t sketch = 0;  // its address
  uint32_t words = 1;
  static constexpr size_t kWordsMax = 11;
  std::optional<QuantileScale> quantiles;
};

}  // namespace bettong::grid
