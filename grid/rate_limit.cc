#include "grid/rate_limit.h"

#include <algorithm>

namespace bettong::grid {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// Event times further from 1970 than this (some 290 years) are taken for it.
constexpr int64_t kTimeMsMax = INT64_MAX / kNsPerMs / 2;

}  // namespace

// A full bucket has its tokens back; each token short puts that off by what one takes to come back.
bool RateLimit::Take(RateState& state, TimeMs now_ms) const {
  const int64_t seen_ms =
      std::max(state.seen_ms, std::clamp<int64_t>(now_ms, -kTimeMsMax, kTimeMsMax));
  const int64_t now_ns = seen_ms * kNsPerMs;
  const int64_t token_ns = per_ms * kNsPerMs / count;
  const int64_t full_at_ns = std::max(state.full_at_ns, now_ns);
  if (full_at_ns - now_ns > (int64_t{count} - 1) * token_ns) return false;
  state = {.full_at_ns = full_at_ns + token_ns, .seen_ms = seen_ms};
  return true;
}

}  // namespace bettong::grid
