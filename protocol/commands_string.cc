// String commands, but for the counters (commands_counter.cc).
#include <algorithm>

#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/expire_time.h"
#include "protocol/resp_parser.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;
using grid::ShardTurn;
using grid::ValueType;

constexpr std::string_view kTooLong =
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

ReplyWriter ReplyOf(KeyTurn& turn) { return ReplyWriter(turn.reply(), turn.resp3()); }

// The key may get a string value, whatever it held: replies the error if not.
bool MayPut(KeyTurn& turn) {
  switch (turn.type()) {
    case ValueType::kString:
      return true;
    case ValueType::kEntity:
      ReplyWrongType(turn);
      return false;
    default:
      return !RefusesNewKey(turn);
  }
}

// For commands that change a string: it is one, or the key may get one.
bool MayChange(KeyTurn& turn) {
  if (turn.type() == ValueType::kString) return true;
  if (turn.type() == ValueType::kNone) return !RefusesNewKey(turn);
  ReplyWrongType(turn);
  return false;
}

// Replies the value, or null; false after an error (another type).
bool ReplyValue(KeyTurn& turn) {
  if (turn.type() == ValueType::kString) {
    ReplyOf(turn).Bulk(turn.string_value());
  } else if (turn.type() == ValueType::kNone) {
    ReplyOf(turn).Null();
  } else {
    ReplyWrongType(turn);
    return false;
  }
  return true;
}

void NotifySet(KeyTurn& turn, bool expires) {
  turn.Notify(grid::kNotifyString, "set");
  if (expires) turn.Notify(grid::kNotifyGeneric, "expire");
}

struct SetOptions {
  bool if_missing = false, if_exists = false, get = false, keep_ttl = false;
  // The time option and its argument, which is looked at once all options are known.
  std::optional<TimeOption> time;
  std::string_view time_text;
};

bool ParseSetOptions(KeyTurn& turn, Args args, SetOptions& options) {
  std::string_view time_name;  // a time option may come twice, but not two of them
  for (size_t i = 3; i < args.size(); ++i) {
    const std::string_view name = args[i];
    const auto time = ParseTimeOption(name);
    if (EqualsIgnoreCase(name, "NX") && !options.if_exists) {
      options.if_missing = true;
    } else if (EqualsIgnoreCase(name, "XX") && !options.if_missing) {
      options.if_exists = true;
    } else if (EqualsIgnoreCase(name, "GET")) {
      options.get = true;
    } else if (EqualsIgnoreCase(name, "KEEPTTL") && !options.time) {
      options.keep_ttl = true;
    } else if (time && i + 1 < args.size() && !options.keep_ttl &&
               (!options.time || EqualsIgnoreCase(name, time_name))) {
      time_name = name;
      options.time = time;
      options.time_text = args[++i];
    } else {
      turn.ReplyError(kSyntaxError);
      return false;
    }
  }
  return true;
}

void RunSet(KeyTurn& turn, Args args) {
  if (args.size() == 3) {
    if (!MayPut(turn)) return;
    turn.PutString(args[2], kNeverExpires);
    NotifySet(turn, false);
    return ReplyOf(turn).Ok();
  }
  SetOptions options;
  if (!ParseSetOptions(turn, args, options)) return;
  TimeMs deadline_ms = kNeverExpires;
  if (options.time) {
    const auto parsed =
        ParseDeadline(turn, "set", options.time_text, *options.time, /*positive=*/true);
    if (!parsed) return;
    deadline_ms = *parsed;
  }
  const ValueType type = turn.type();
  if (options.get && type != ValueType::kString && type != ValueType::kNone) {
    return ReplyWrongType(turn);
  }
  const bool exists = type != ValueType::kNone;
  const bool refused = (options.if_missing && exists) || (options.if_exists && !exists);
  if (!refused && !MayPut(turn)) return;
  if (options.get) ReplyValue(turn);
  if (refused) {
    if (!options.get) ReplyOf(turn).Null();
    return;
  }
  turn.PutString(args[2], options.keep_ttl ? turn.deadline_ms() : deadline_ms);
  NotifySet(turn, options.time.has_value());
  if (!options.get) ReplyOf(turn).Ok();
}

void RunGet(KeyTurn& turn, Args) { ReplyValue(turn); }

void RunSetNx(KeyTurn& turn, Args args) {
  if (turn.exists()) return ReplyOf(turn).Integer(0);
  if (!MayPut(turn)) return;
  turn.PutString(args[2], kNeverExpires);
  NotifySet(turn, false);
  ReplyOf(turn).Integer(1);
}

void SetWithTime(KeyTurn& turn, Args args, std::string_view command, TimeUnit unit) {
  const TimeOption option{unit, TimeBase::kFromNow};
  const auto deadline_ms = ParseDeadline(turn, command, args[2], option, /*positive=*/true);
  if (!deadline_ms || !MayPut(turn)) return;
  turn.PutString(args[3], *deadline_ms);
  NotifySet(turn, true);
  ReplyOf(turn).Ok();
}

void RunSetEx(KeyTurn& turn, Args args) { SetWithTime(turn, args, "setex", TimeUnit::kSeconds); }
void RunPSetEx(KeyTurn& turn, Args args) {
  SetWithTime(turn, args, "psetex", TimeUnit::kMilliseconds);
}

void RunGetSet(KeyTurn& turn, Args args) {
  if (!MayChange(turn)) return;
  ReplyValue(turn);
  turn.PutString(args[2], kNeverExpires);
  NotifySet(turn, false);
}

void RunGetDel(KeyTurn& turn, Args) {
  if (!ReplyValue(turn) || !turn.exists()) return;
  turn.Delete();
  turn.Notify(grid::kNotifyGeneric, "del");
}

void RunGetEx(KeyTurn& turn, Args args) {
  // An option may come twice, but not two of them.
  std::optional<TimeOption> time;
  std::string_view time_text;
  bool persist = false;
  for (size_t i = 2; i < args.size(); ++i) {
    const auto option = ParseTimeOption(args[i]);
    if (EqualsIgnoreCase(args[i], "PERSIST") && !time) {
      persist = true;
    } else if (option && i + 1 < args.size() && !persist && (!time || *time == *option)) {
      time = option;
      time_text = args[++i];
    } else {
      return turn.ReplyError(kSyntaxError);
    }
  }
  // Redis looks at the time only when there is a value to answer.
  std::optional<TimeMs> deadline_ms;
  if (time && turn.type() == ValueType::kString) {
    deadline_ms = ParseDeadline(turn, "getex", time_text, *time, /*positive=*/true);
    if (!deadline_ms) return;
  }
  if (!ReplyValue(turn) || !turn.exists()) return;
  if (deadline_ms && *deadline_ms <= turn.now_ms()) {
    turn.Delete();
    turn.Notify(grid::kNotifyGeneric, "del");
  } else if (deadline_ms) {
    turn.SetDeadline(*deadline_ms);
    turn.Notify(grid::kNotifyGeneric, "expire");
  } else if (persist && turn.deadline_ms() != kNeverExpires) {
    turn.SetDeadline(kNeverExpires);
    turn.Notify(grid::kNotifyGeneric, "persist");
  }
}

void RunAppend(KeyTurn& turn, Args args) {
  if (!MayChange(turn)) return;
  size_t size = args[2].size();
  if (turn.exists()) {
    size += turn.string_value().size();
    if (size > kBulkBytesMax) return turn.ReplyError(kTooLong);
    turn.AppendString(args[2]);
  } else {
    turn.PutString(args[2], kNeverExpires);
  }
  turn.Notify(grid::kNotifyString, "append");
  ReplyOf(turn).Integer(static_cast<int64_t>(size));
}

void RunStrLen(KeyTurn& turn, Args) {
  if (turn.type() == ValueType::kNone) return ReplyOf(turn).Integer(0);
  if (turn.type() != ValueType::kString) return ReplyWrongType(turn);
  ReplyOf(turn).Integer(static_cast<int64_t>(turn.string_value().size()));
}

void RunSetRange(KeyTurn& turn, Args args) {
  const auto offset = ParseInt(args[2]);
  if (!offset) return turn.ReplyError(kNotAnInteger);
  if (*offset < 0) return turn.ReplyError("ERR offset is out of range");
  if (turn.exists() && turn.type() != ValueType::kString) return ReplyWrongType(turn);
  const std::string_view patch = args[3];
  const size_t old_size = turn.exists() ? turn.string_value().size() : 0;
  if (patch.empty()) return ReplyOf(turn).Integer(static_cast<int64_t>(old_size));
  if (static_cast<size_t>(*offset) > kBulkBytesMax - std::min(patch.size(), kBulkBytesMax)) {
    return turn.ReplyError(kTooLong);
  }
  if (!MayChange(turn)) return;
  std::string value(turn.exists() ? turn.string_value() : std::string_view());
  const size_t end = static_cast<size_t>(*offset) + patch.size();
  if (value.size() < end) value.resize(end);
  patch.copy(value.data() + *offset, patch.size());
  if (turn.exists()) {
    turn.UpdateString(value);
  } else {
    turn.PutString(value, kNeverExpires);
  }
  turn.Notify(grid::kNotifyString, "setrange");
  ReplyOf(turn).Integer(static_cast<int64_t>(value.size()));
}

void RunGetRange(KeyTurn& turn, Args args) {
  const auto first = ParseInt(args[2]);
  const auto last = ParseInt(args[3]);
  if (!first || !last) return turn.ReplyError(kNotAnInteger);
  if (turn.type() == ValueType::kNone) return ReplyOf(turn).Bulk("");
  if (turn.type() != ValueType::kString) return ReplyWrongType(turn);
  const std::string_view value = turn.string_value();
  const auto size = static_cast<int64_t>(value.size());
  int64_t begin = *first < 0 ? std::max<int64_t>(*first + size, 0) : *first;
  int64_t end = *last < 0 ? std::max<int64_t>(*last + size, 0) : *last;
  end = std::min(end, size - 1);
  const bool none = (*first < 0 && *last < 0 && *first > *last) || begin > end || size == 0;
  if (none) return ReplyOf(turn).Bulk("");
  ReplyOf(turn).Bulk(
      value.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin + 1)));
}

void RunMGet(ShardTurn& shard, Args args) {
  ReplyWriter reply(shard.reply(), shard.ticket().resp3);
  reply.Array(args.size() - 1);
  for (std::string_view key : args.subspan(1)) {
    KeyTurn turn = shard.Key(key, shard.reply());
    if (turn.type() == ValueType::kString) {
      reply.Bulk(turn.string_value());
    } else {
      reply.Null();
    }
  }
}

// Every pair may be put: replies the first error if not.
bool MayPutAll(ShardTurn& shard, Args args) {
  for (size_t i = 1; i < args.size(); i += 2) {
    KeyTurn turn = shard.Key(args[i], shard.reply());
    if (!MayPut(turn)) return false;
  }
  return true;
}

void PutAll(ShardTurn& shard, Args args) {
  for (size_t i = 1; i + 1 < args.size(); i += 2) {
    KeyTurn turn = shard.Key(args[i], shard.reply());
    turn.PutString(args[i + 1], kNeverExpires);
    NotifySet(turn, false);
  }
}

void RunMSet(ShardTurn& shard, Args args) {
  ReplyWriter reply(shard.reply(), shard.ticket().resp3);
  if (!MayPutAll(shard, args)) return;
  PutAll(shard, args);
  reply.Ok();
}

void RunMSetNx(ShardTurn& shard, Args args) {
  ReplyWriter reply(shard.reply(), shard.ticket().resp3);
  for (size_t i = 1; i < args.size(); i += 2) {
    if (shard.Key(args[i], shard.reply()).exists()) return reply.Integer(0);
  }
  if (!MayPutAll(shard, args)) return;
  PutAll(shard, args);
  reply.Integer(1);
}

constexpr uint32_t kPut = kWrite | kDenyOom;

constexpr CommandRow kRows[] = {
    KeyRow("SET", -3, kPut, RunSet,
           {"string", "1.0.0", "Sets the string value of a key, whatever its type was."}),
    KeyRow("GET", 2, kReadOnly | kFast, RunGet,
           {"string", "1.0.0", "Returns the string value of a key."}),
    KeyRow("SETNX", 3, kPut | kFast, RunSetNx,
           {"string", "1.0.0", "Sets the string value of a key that does not exist."}),
    KeyRow("SETEX", 4, kPut, RunSetEx,
           {"string", "2.0.0", "Sets the string value and the TTL of a key, in seconds."}),
    KeyRow("PSETEX", 4, kPut, RunPSetEx,
           {"string", "2.6.0", "Sets the string value and the TTL of a key, in milliseconds."}),
    KeyRow("GETSET", 3, kPut | kFast, RunGetSet,
           {"string", "1.0.0", "Returns the previous string value of a key and sets a new one."}),
    KeyRow("GETDEL", 2, kWrite | kFast, RunGetDel,
           {"string", "6.2.0", "Returns the string value of a key and deletes the key."}),
    KeyRow("GETEX", -2, kWrite | kFast, RunGetEx,
           {"string", "6.2.0", "Returns the string value of a key and sets its TTL."}),
    KeyRow("APPEND", 3, kPut | kFast, RunAppend,
           {"string", "2.0.0", "Appends to the string value of a key."}),
    KeyRow("STRLEN", 2, kReadOnly | kFast, RunStrLen,
           {"string", "2.2.0", "Returns the length of a string value."}),
    KeyRow("SETRANGE", 4, kPut, RunSetRange,
           {"string", "2.2.0", "Overwrites a part of a string value."}),
    KeyRow("GETRANGE", 4, kReadOnly, RunGetRange,
           {"string", "2.4.0", "Returns a part of a string value."}),
    KeyRow("SUBSTR", 4, kReadOnly, RunGetRange,
           {"string", "1.0.0", "Returns a part of a string value."}),
    ShardRow("MGET", -2, kReadOnly | kFast, Scope::kKeysByShard, kAllKeys, RunMGet, MergeByKey,
             {"string", "1.0.0", "Returns the string values of several keys."}),
    ShardRow("MSET", -3, kPut, Scope::kKeysTogether, kKeyValuePairs, RunMSet, nullptr,
             {"string", "1.0.1", "Sets the string values of several keys of one shard."}),
    ShardRow("MSETNX", -3, kPut, Scope::kKeysTogether, kKeyValuePairs, RunMSetNx, nullptr,
             {"string", "1.0.1", "Sets several keys of one shard if none of them exists."}),
};

}  // namespace

std::span<const CommandRow> StringCommands() { return kRows; }

}  // namespace bettong::protocol
