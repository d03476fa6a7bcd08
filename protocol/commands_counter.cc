// Strings as counters: INCR and its relatives.
#include <cmath>

#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/decimal.h"
#include "protocol/errors.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;
using grid::ValueType;

bool MayCount(KeyTurn& turn) {
  if (turn.type() == ValueType::kString) return true;
  if (turn.type() == ValueType::kNone) return !RefusesNewKey(turn);
  ReplyWrongType(turn);
  return false;
}

void Put(KeyTurn& turn, std::string_view text) {
  if (turn.exists()) {
    turn.UpdateString(text);
  } else {
    turn.PutString(text, kNeverExpires);
  }
}

void Add(KeyTurn& turn, int64_t increment) {
  if (!MayCount(turn)) return;
  int64_t value = 0;
  if (turn.exists()) {
    const auto old = ParseInt(turn.string_value());
    if (!old) return turn.ReplyError(kNotAnInteger);
    value = *old;
  }
  if (__builtin_add_overflow(value, increment, &value)) {
    return turn.ReplyError("ERR increment or decrement would overflow");
  }
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  Put(turn, {digits, static_cast<size_t>(end - digits)});
  turn.Notify(grid::kNotifyString, "incrby");
  ReplyWriter(turn.reply(), turn.resp3()).Integer(value);
}

void RunIncr(KeyTurn& turn, Args) { Add(turn, 1); }
void RunDecr(KeyTurn& turn, Args) { Add(turn, -1); }

void RunIncrBy(KeyTurn& turn, Args args) {
  const auto increment = ParseInt(args[2]);
  if (!increment) return turn.ReplyError(kNotAnInteger);
  Add(turn, *increment);
}

void RunDecrBy(KeyTurn& turn, Args args) {
  const auto decrement = ParseInt(args[2]);
  if (!decrement) return turn.ReplyError(kNotAnInteger);
  if (*decrement == INT64_MIN) return turn.ReplyError("ERR decrement would overflow");
  Add(turn, -*decrement);
}

void RunIncrByFloat(KeyTurn& turn, Args args) {
  if (!MayCount(turn)) return;
  const auto old = turn.exists() ? ParseDecimal(turn.string_value()) : 0.0L;
  const auto increment = ParseDecimal(args[2]);
  if (!old || !increment) return turn.ReplyError(kNotAFloat);
  const long double value = *old + *increment;
  if (std::isnan(value) || std::isinf(value)) {
    return turn.ReplyError("ERR increment would produce NaN or Infinity");
  }
  const std::string text = FormatDecimal(value);
  Put(turn, text);
  turn.Notify(grid::kNotifyString, "incrbyfloat");
  ReplyWriter(turn.reply(), turn.resp3()).Bulk(text);
}

constexpr uint32_t kCount = kWrite | kDenyOom | kFast;

constexpr CommandRow kRows[] = {
    KeyRow("INCR", 2, kCount, RunIncr,
           {"string", "1.0.0", "Adds one to the integer value of a key."}),
    KeyRow("DECR", 2, kCount, RunDecr,
           {"string", "1.0.0", "Subtracts one from the integer value of a key."}),
    KeyRow("INCRBY", 3, kCount, RunIncrBy,
           {"string", "1.0.0", "Adds a number to the integer value of a key."}),
    KeyRow("DECRBY", 3, kCount, RunDecrBy,
           {"string", "1.0.0", "Subtracts a number from the integer value of a key."}),
    KeyRow("INCRBYFLOAT", 3, kCount, RunIncrByFloat,
           {"string", "2.6.0", "Adds a number to the floating point value of a key."}),
};

}  // namespace

std::span<const CommandRow> CounterCommands() { return kRows; }

}  // namespace bettong::protocol
