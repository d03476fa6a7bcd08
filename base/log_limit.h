// Bounds how often entries of one kind are logged: a few at once, then one an interval; those left
// out are counted. One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace bettong {

class LogLimit {
 public:
  using Clock = std::chrono::steady_clock;

  // `burst` > 0 entries at once, `every` > 0.
  LogLimit(int64_t burst, Clock::duration every) : burst_(burst), every_(every), left_(burst) {}

  // Asked before each entry: nothing if it is to be left out, else how many were since the last.
  std::optional<uint64_t> Admit(Clock::time_point now) {
    const int64_t earned = left_ == burst_ ? 0 : (now - since_) / every_;
    if (left_ == burst_ || left_ + earned >= burst_) {
      left_ = burst_;
      since_ = now;
    } else {
      left_ += earned;
      since_ += earned * every_;
    }
    if (left_ == 0) {
      ++left_out_;
      return std::nullopt;
    }
    --left_;
    return std::exchange(left_out_, 0);
  }

 private:
  const int64_t burst_;
  const Clock::duration every_;
  int64_t left_;             // entries that may be logged now
  Clock::time_point since_;  // when the last of them was earned
  uint64_t left_out_ = 0;
};

}  // namespace bettong
