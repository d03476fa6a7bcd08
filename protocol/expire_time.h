// Times to live as commands give them, and the deadlines they mean.
#pragma once

#include <optional>
#include <string_view>

#include "grid/key_turn.h"

namespace bettong::protocol {

enum class TimeUnit : uint8_t { kSeconds, kMilliseconds };
enum class TimeBase : uint8_t { kFromNow, kUnix };

struct TimeOption {
  TimeUnit unit = TimeUnit::kSeconds;
  TimeBase base = TimeBase::kFromNow;
  bool operator==(const TimeOption&) const = default;
};

// EX PX EXAT PXAT, in any case.
std::optional<TimeOption> ParseTimeOption(std::string_view name);

// The deadline, or nullopt: then the error has been replied. `positive`: times that are not after
// zero are refused.
std::optional<TimeMs> ParseDeadline(grid::KeyTurn& turn, std::string_view command,
                                    std::string_view text, TimeOption option, bool positive);

// Entities on event time have their deadlines made by their events only: replies the error and
// answers true.
bool RefusesDeadline(grid::KeyTurn& turn);

}  // namespace bettong::protocol
