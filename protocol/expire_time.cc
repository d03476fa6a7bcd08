#include "protocol/expire_time.h"

#include <algorithm>

#include "base/number_text.h"
#include "protocol/errors.h"
#include "protocol/text.h"

namespace bettong::protocol {

std::optional<TimeOption> ParseTimeOption(std::string_view name) {
  if (EqualsIgnoreCase(name, "EX")) return TimeOption{TimeUnit::kSeconds, TimeBase::kFromNow};
  if (EqualsIgnoreCase(name, "PX")) return TimeOption{TimeUnit::kMilliseconds, TimeBase::kFromNow};
  if (EqualsIgnoreCase(name, "EXAT")) return TimeOption{TimeUnit::kSeconds, TimeBase::kUnix};
  if (EqualsIgnoreCase(name, "PXAT")) return TimeOption{TimeUnit::kMilliseconds, TimeBase::kUnix};
  return std::nullopt;
}

std::optional<TimeMs> ParseDeadline(grid::KeyTurn& turn, std::string_view command,
                                    std::string_view text, TimeOption option, bool positive) {
  const auto amount = ParseInt(text);
  if (!amount) {
    turn.ReplyError(kNotAnInteger);
    return std::nullopt;
  }
  int64_t time_ms = *amount;
  const bool overflow =
      (option.unit == TimeUnit::kSeconds && __builtin_mul_overflow(*amount, 1000, &time_ms)) ||
      (option.base == TimeBase::kFromNow &&
       __builtin_add_overflow(time_ms, turn.now_ms(), &time_ms));
  if (overflow || (positive && *amount <= 0)) {
    turn.ReplyError(InvalidExpire(command));
    return std::nullopt;
  }
  // The last millisecond means "never" here.
  return std::min(time_ms, kNeverExpires - 1);
}

bool RefusesDeadline(grid::KeyTurn& turn) {
  if (turn.type() != grid::ValueType::kEntity ||
      turn.entity_class().clock != grid::TtlClock::kEvent) {
    return false;
  }
  turn.ReplyError("ERR the TTL of '" + std::string(turn.key()) + "' runs in event time (class " +
                  turn.entity_class().name + "): only its events change it");
  return true;
}

}  // namespace bettong::protocol
