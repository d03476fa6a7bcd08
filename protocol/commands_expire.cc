// Deadlines of keys: EXPIRE, TTL, PERSIST and their relatives.
#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/expire_time.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;

ReplyWriter ReplyOf(KeyTurn& turn) { return ReplyWriter(turn.reply(), turn.resp3()); }

struct Conditions {
  bool if_none = false, if_some = false, if_later = false, if_sooner = false;
};

bool ParseConditions(KeyTurn& turn, Args args, Conditions& conditions) {
  for (std::string_view name : args.subspan(3)) {
    if (EqualsIgnoreCase(name, "NX")) {
      conditions.if_none = true;
    } else if (EqualsIgnoreCase(name, "XX")) {
      conditions.if_some = true;
    } else if (EqualsIgnoreCase(name, "GT")) {
      conditions.if_later = true;
    } else if (EqualsIgnoreCase(name, "LT")) {
      conditions.if_sooner = true;
    } else {
      turn.ReplyError("ERR Unsupported option " + std::string(name));
      return false;
    }
  }
  if (conditions.if_none && (conditions.if_some || conditions.if_later || conditions.if_sooner)) {
    turn.ReplyError("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (conditions.if_later && conditions.if_sooner) {
    turn.ReplyError("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

// No deadline is later than any.
bool Holds(const Conditions& conditions, TimeMs old_ms, TimeMs new_ms) {
  if (conditions.if_none && old_ms != kNeverExpires) return false;
  if (conditions.if_some && old_ms == kNeverExpires) return false;
  if (conditions.if_later && new_ms <= old_ms) return false;
  if (conditions.if_sooner && new_ms >= old_ms) return false;
  return true;
}

void Expire(KeyTurn& turn, Args args, TimeOption option) {
  Conditions conditions;
  if (!ParseConditions(turn, args, conditions)) return;
  const auto deadline_ms = ParseDeadline(turn, args[0], args[2], option, /*positive=*/false);
  if (!deadline_ms) return;
  if (!turn.exists()) return ReplyOf(turn).Integer(0);
  if (RefusesDeadline(turn)) return;
  if (!Holds(conditions, turn.deadline_ms(), *deadline_ms)) return ReplyOf(turn).Integer(0);
  if (*deadline_ms <= turn.now_ms()) {
    turn.Delete();
    turn.Notify(grid::kNotifyGeneric, "del");
  } else {
    turn.SetDeadline(*deadline_ms);
    turn.Notify(grid::kNotifyGeneric, "expire");
  }
  ReplyOf(turn).Integer(1);
}

void RunExpire(KeyTurn& turn, Args args) {
  Expire(turn, args, {TimeUnit::kSeconds, TimeBase::kFromNow});
}
void RunPExpire(KeyTurn& turn, Args args) {
  Expire(turn, args, {TimeUnit::kMilliseconds, TimeBase::kFromNow});
}
void RunExpireAt(KeyTurn& turn, Args args) {
  Expire(turn, args, {TimeUnit::kSeconds, TimeBase::kUnix});
}
void RunPExpireAt(KeyTurn& turn, Args args) {
  Expire(turn, args, {TimeUnit::kMilliseconds, TimeBase::kUnix});
}

// -2: no key, -1: no deadline. Redis rounds to the nearest second.
void ReplyTime(KeyTurn& turn, TimeUnit unit, TimeBase base) {
  if (!turn.exists()) return ReplyOf(turn).Integer(-2);
  const TimeMs deadline_ms = turn.deadline_ms();
  if (deadline_ms == kNeverExpires) return ReplyOf(turn).Integer(-1);
  TimeMs time_ms = deadline_ms;
  if (base == TimeBase::kFromNow) time_ms = std::max<TimeMs>(deadline_ms - turn.clock_ms(), 0);
  ReplyOf(turn).Integer(unit == TimeUnit::kSeconds ? (time_ms + 500) / 1000 : time_ms);
}

void RunTtl(KeyTurn& turn, Args) { ReplyTime(turn, TimeUnit::kSeconds, TimeBase::kFromNow); }
void RunPTtl(KeyTurn& turn, Args) { ReplyTime(turn, TimeUnit::kMilliseconds, TimeBase::kFromNow); }
void RunExpireTime(KeyTurn& turn, Args) { ReplyTime(turn, TimeUnit::kSeconds, TimeBase::kUnix); }
void RunPExpireTime(KeyTurn& turn, Args) {
  ReplyTime(turn, TimeUnit::kMilliseconds, TimeBase::kUnix);
}

void RunPersist(KeyTurn& turn, Args) {
  if (!turn.exists() || turn.deadline_ms() == kNeverExpires) return ReplyOf(turn).Integer(0);
  if (RefusesDeadline(turn)) return;
  turn.SetDeadline(kNeverExpires);
  turn.Notify(grid::kNotifyGeneric, "persist");
  ReplyOf(turn).Integer(1);
}

constexpr CommandRow kRows[] = {
    KeyRow("EXPIRE", -3, kWrite | kFast, RunExpire,
           {"generic", "1.0.0", "Sets the TTL of a key in seconds."}),
    KeyRow("PEXPIRE", -3, kWrite | kFast, RunPExpire,
           {"generic", "2.6.0", "Sets the TTL of a key in milliseconds."}),
    KeyRow("EXPIREAT", -3, kWrite | kFast, RunExpireAt,
           {"generic", "1.2.0", "Sets when a key expires, in seconds since the epoch."}),
    KeyRow("PEXPIREAT", -3, kWrite | kFast, RunPExpireAt,
           {"generic", "2.6.0", "Sets when a key expires, in milliseconds since the epoch."}),
    KeyRow("TTL", 2, kReadOnly | kFast, RunTtl,
           {"generic", "1.0.0", "Returns the TTL of a key in seconds."}),
    KeyRow("PTTL", 2, kReadOnly | kFast, RunPTtl,
           {"generic", "2.6.0", "Returns the TTL of a key in milliseconds."}),
    KeyRow("EXPIRETIME", 2, kReadOnly | kFast, RunExpireTime,
           {"generic", "7.0.0", "Returns when a key expires, in seconds since the epoch."}),
    KeyRow("PEXPIRETIME", 2, kReadOnly | kFast, RunPExpireTime,
           {"generic", "7.0.0", "Returns when a key expires, in milliseconds since the epoch."}),
    KeyRow("PERSIST", 2, kWrite | kFast, RunPersist,
           {"generic", "2.2.0", "Takes away the TTL of a key."}),
};

}  // namespace

std::span<const CommandRow> ExpireCommands() { return kRows; }

}  // namespace bettong::protocol
