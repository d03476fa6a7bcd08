// What becomes of a turn that raises, as its handler or its class declares it
// (docs/dead-letters.md).
#pragma once

#include <cstdint>

namespace bettong::grid {

// Bounds of what may be declared; the SDK refuses what is beyond
// (clients/python/bettong/policy.py).
inline constexpr uint16_t kRetriesMax = 1000;
inline constexpr uint32_t kBackoffMsMax = 24 * 60 * 60 * 1000;

struct FailurePolicy {
  enum class Kind : uint8_t {
    kDeadLetter,  // a letter tells of it
    kSkip,        // it is counted
    kRetry,       // it is tried again, and becomes a letter when that was in vain, too
  };
  Kind kind = Kind::kDeadLetter;
  // kRetry:
  uint16_t retries_max = 0;
  uint32_t backoff_ms = 0;  // before the first retry; then `factor` times as long as before
  uint32_t backoff_ms_max = kBackoffMsMax;
  double factor = 2;

  // How long to wait after so many retries; fewer than retries_max.
  uint32_t BackoffMs(uint16_t retries) const;
};

}  // namespace bettong::grid
