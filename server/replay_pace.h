// When the events of a recording are due, if its first is due at once: as far apart as they were,
// divided by a speed. Events out of order are due with what went before them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace bettong::server {

inline constexpr double kReplaySpeedMin = 1e-6;
inline constexpr double kReplaySpeedMax = 1e6;

// "10x", "0.5x", "10"; "max": as fast as it goes, which is 0. Nothing: it is none of these.
std::optional<double> ParseReplaySpeed(std::string_view text);

class ReplayPace {
 public:
  explicit ReplayPace(double speed) : speed_(speed) {}

  // How long after the first event.
  std::chrono::microseconds DueAfter(TimeMs event_ms) {
    if (first_ms_ == kNoTime) first_ms_ = last_ms_ = event_ms;
    last_ms_ = std::max(last_ms_, event_ms);
    if (speed_ == 0) return {};
    return std::chrono::microseconds(
        static_cast<int64_t>(static_cast<double>(span_ms()) * 1000 / speed_));
  }
  // Of event time, so far.
  int64_t span_ms() const { return first_ms_ == kNoTime ? 0 : last_ms_ - first_ms_; }

 private:
  const double speed_;
  TimeMs first_ms_ = kNoTime;
  TimeMs last_ms_ = kNoTime;
};

// Reads the event time of lines of JSON: an int of ms since the epoch, in a field of theirs.
class EventTimeReader {
 public:
  explicit EventTimeReader(std::string field);
  ~EventTimeReader();

  // Nothing: the line has none.
  std::optional<TimeMs> Read(std::string_view line);

 private:
  struct Parser;
  const std::string field_;
  const std::unique_ptr<Parser> parser_;
};

}  // namespace bettong::server
