// The clock of bettong-stream connections: milliseconds, monotonic.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace bettong::ingest {

using StreamClock = std::function<int64_t()>;

inline int64_t SteadyMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace bettong::ingest
