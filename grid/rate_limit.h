// How many events of a key a handler takes: a token bucket for each entity, in its row. It holds
// `count` tokens at most, each turn takes one, and they come back at `count` per `per_ms`, evenly.
//
// What is kept is not the tokens but when the bucket will be full again, and the latest time seen:
// two integers, exact, and good for another rate, too, when the app is changed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ids.h"

namespace bettong::grid {

// Bounds of what may be declared; the SDK refuses what is beyond
// (clients/python/bettong/policy.py).
inline constexpr uint32_t kRateCountMax = 1'000'000;
inline constexpr int64_t kRatePerMsMax = int64_t{24} * 60 * 60 * 1000;

// As it lies in the row: an Array[int, 2] that begins as zeros.
struct RateState {
  int64_t full_at_ns = 0;
  int64_t seen_ms = 0;
};
inline constexpr uint32_t kRateStateElements = 2;

struct RateLimit {
  enum class Over : uint8_t { kDrop, kDeadLetter };

  uint32_t count = 0;  // 0: there is no limit
  int64_t per_ms = 0;
  Over over = Over::kDrop;
  size_t field = 0;  // of the row, where the state is

  bool limits() const { return count > 0; }
  // Whether there is a token at that time; it is taken then. A time before one that has been seen
  // counts as that.
  bool Take(RateState& state, TimeMs now_ms) const;
};

}  // namespace bettong::grid
