#include "grid/failure_policy.h"

#include <algorithm>
#include <cmath>

namespace bettong::grid {

// The product may be infinite.
uint32_t FailurePolicy::BackoffMs(uint16_t retries) const {
  const double longer = backoff_ms * std::pow(factor, retries);
  return static_cast<uint32_t>(std::min(longer, static_cast<double>(backoff_ms_max)));
}

}  // namespace bettong::grid
