// How long to wait before the next attempt: twice as long each time, up to a limit. Pure.
#pragma once

#include <algorithm>
#include <chrono>

namespace bettong::ingest {

class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest)
      : first_(first), longest_(longest), next_(first) {}

  std::chrono::milliseconds Next() {
    const std::chrono::milliseconds now = next_;
    next_ = std::min(2 * next_, longest_);
    return now;
  }
  // It works.
  void Reset() { next_ = first_; }

 private:
  const std::chrono::milliseconds first_;
  const std::chrono::milliseconds longest_;
  std::chrono::milliseconds next_;
};

}  // namespace bettong::ingest
