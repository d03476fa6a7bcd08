// Hash commands on one or several fields; HSCAN and HRANDFIELD are in commands_hash_scan.cc.
#include <absl/container/inlined_vector.h>

#include <cmath>

#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/commands_hash_scan.h"
#include "protocol/decimal.h"
#include "protocol/entity_fields.h"
#include "protocol/errors.h"
#include "protocol/hash_view.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;
using grid::ValueType;

ReplyWriter ReplyOf(KeyTurn& turn) { return ReplyWriter(turn.reply(), turn.resp3()); }

// For commands that change a hash: it is one, or the key may get one. Entities are seen to before.
bool MayChange(KeyTurn& turn) {
  if (turn.type() == ValueType::kHash) return true;
  if (turn.type() == ValueType::kNone) return !RefusesNewKey(turn);
  ReplyWrongType(turn);
  return false;
}

void RunHGet(KeyTurn& turn, Args args) {
  HashView hash(turn);
  if (!hash.Open()) return;
  const auto value = hash.Get(args[2]);
  value ? ReplyOf(turn).Bulk(*value) : ReplyOf(turn).Null();
}

void RunHMGet(KeyTurn& turn, Args args) {
  HashView hash(turn);
  if (!hash.Open()) return;
  ReplyOf(turn).Array(args.size() - 2);
  for (std::string_view field : args.subspan(2)) {
    const auto value = hash.Get(field);
    value ? ReplyOf(turn).Bulk(*value) : ReplyOf(turn).Null();
  }
}

void RunHGetAll(KeyTurn& turn, Args) {
  HashView hash(turn);
  if (!hash.Open()) return;
  ReplyWriter reply = ReplyOf(turn);
  reply.Map(hash.size());
  hash.ForEach([&reply](std::string_view field, std::string_view value) {
    reply.Bulk(field);
    reply.Bulk(value);
  });
}

void RunHKeys(KeyTurn& turn, Args) {
  HashView hash(turn);
  if (!hash.Open()) return;
  ReplyWriter reply = ReplyOf(turn);
  reply.Array(hash.size());
  hash.ForEach([&reply](std::string_view field, std::string_view) { reply.Bulk(field); });
}

void RunHVals(KeyTurn& turn, Args) {
  HashView hash(turn);
  if (!hash.Open()) return;
  ReplyWriter reply = ReplyOf(turn);
  reply.Array(hash.size());
  hash.ForEach([&reply](std::string_view, std::string_view value) { reply.Bulk(value); });
}

void RunHLen(KeyTurn& turn, Args) {
  HashView hash(turn);
  if (hash.Open()) ReplyOf(turn).Integer(static_cast<int64_t>(hash.size()));
}

void RunHExists(KeyTurn& turn, Args args) {
  HashView hash(turn);
  if (hash.Open()) ReplyOf(turn).Integer(hash.Get(args[2]) ? 1 : 0);
}

void RunHStrLen(KeyTurn& turn, Args args) {
  HashView hash(turn);
  if (!hash.Open()) return;
  ReplyOf(turn).Integer(static_cast<int64_t>(hash.Get(args[2]).value_or("").size()));
}

using Pairs = absl::InlinedVector<FieldValue, 8>;

Pairs PairsOf(Args args) {
  Pairs pairs;
  pairs.reserve((args.size() - 2) / 2);
  for (size_t i = 2; i + 1 < args.size(); i += 2) pairs.emplace_back(args[i], args[i + 1]);
  return pairs;
}

// How many fields are new, or nullopt after an error.
std::optional<size_t> SetFields(KeyTurn& turn, Args args) {
  if (args.size() % 2 != 0) {
    turn.ReplyError(WrongArity(args[0]));
    return std::nullopt;
  }
  const Pairs pairs = PairsOf(args);
  if (turn.type() == ValueType::kEntity) {
    if (!SetEntityFields(turn, pairs)) return std::nullopt;
    return 0;
  }
  if (!MayChange(turn)) return std::nullopt;
  const size_t added = turn.HashSet(pairs);
  turn.Notify(grid::kNotifyHash, "hset");
  return added;
}

void RunHSet(KeyTurn& turn, Args args) {
  const auto added = SetFields(turn, args);
  if (added) ReplyOf(turn).Integer(static_cast<int64_t>(*added));
}

void RunHMSet(KeyTurn& turn, Args args) {
  if (SetFields(turn, args)) ReplyOf(turn).Ok();
}

void RunHSetNx(KeyTurn& turn, Args args) {
  HashView hash(turn);
  if (!hash.Open()) return;
  if (hash.Get(args[2])) return ReplyOf(turn).Integer(0);
  const FieldValue pair(args[2], args[3]);
  if (turn.type() == ValueType::kEntity) {
    // The field is not one of the class: this says so.
    SetEntityFields(turn, std::span(&pair, 1));
    return;
  }
  if (!MayChange(turn)) return;
  turn.HashSet(std::span(&pair, 1));
  turn.Notify(grid::kNotifyHash, "hset");
  ReplyOf(turn).Integer(1);
}

void RunHDel(KeyTurn& turn, Args args) {
  if (turn.type() == ValueType::kNone) return ReplyOf(turn).Integer(0);
  if (turn.type() == ValueType::kEntity) return RefuseToRemoveFields(turn);
  if (!MayChange(turn)) return;
  const size_t removed = turn.HashDelete(args.subspan(2));
  if (removed > 0) {
    turn.Notify(grid::kNotifyHash, "hdel");
    if (!turn.exists()) turn.Notify(grid::kNotifyGeneric, "del");
  }
  ReplyOf(turn).Integer(static_cast<int64_t>(removed));
}

void RunHIncrBy(KeyTurn& turn, Args args) {
  const auto increment = ParseInt(args[3]);
  if (!increment) return turn.ReplyError(kNotAnInteger);
  if (turn.type() == ValueType::kEntity) return AddToEntityField(turn, args[2], *increment);
  if (!MayChange(turn)) return;
  int64_t value = 0;
  if (turn.exists()) {
    if (const auto text = turn.HashGet(args[2])) {
      const auto old = ParseInt(*text);
      if (!old) return turn.ReplyError("ERR hash value is not an integer");
      value = *old;
    }
  }
  if (__builtin_add_overflow(value, *increment, &value)) {
    return turn.ReplyError("ERR increment or decrement would overflow");
  }
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  const FieldValue pair(args[2], {digits, static_cast<size_t>(end - digits)});
  turn.HashSet(std::span(&pair, 1));
  turn.Notify(grid::kNotifyHash, "hincrby");
  ReplyOf(turn).Integer(value);
}

void RunHIncrByFloat(KeyTurn& turn, Args args) {
  const auto increment = ParseDecimal(args[3]);
  if (!increment) return turn.ReplyError(kNotAFloat);
  if (std::isinf(*increment)) return turn.ReplyError("ERR value is NaN or Infinity");
  if (turn.type() == ValueType::kEntity) return AddToEntityFieldFloat(turn, args[2], *increment);
  if (!MayChange(turn)) return;
  long double value = 0;
  if (turn.exists()) {
    if (const auto text = turn.HashGet(args[2])) {
      const auto old = ParseDecimal(*text);
      if (!old) return turn.ReplyError("ERR hash value is not a float");
      value = *old;
    }
  }
  value += *increment;
  if (std::isnan(value) || std::isinf(value)) {
    return turn.ReplyError("ERR increment would produce NaN or Infinity");
  }
  const std::string text = FormatDecimal(value);
  const FieldValue pair(args[2], text);
  turn.HashSet(std::span(&pair, 1));
  turn.Notify(grid::kNotifyHash, "hincrbyfloat");
  ReplyOf(turn).Bulk(text);
}

constexpr uint32_t kPut = kWrite | kDenyOom | kFast;

// args[2] is a field.
constexpr CommandRow FieldRow(std::string_view name, int arity, uint32_t flags,
                              void (*run)(grid::KeyTurn&, Args), Docs docs) {
  CommandRow row = KeyRow(name, arity, flags, run, docs);
  row.spec.field_argument = 2;
  return row;
}

constexpr CommandRow kRows[] = {
    FieldRow("HGET", 3, kReadOnly | kFast, RunHGet,
             {"hash", "2.0.0", "Returns the value of a field of a hash."}),
    FieldRow("HMGET", -3, kReadOnly | kFast, RunHMGet,
             {"hash", "2.0.0", "Returns the values of several fields of a hash."}),
    KeyRow("HGETALL", 2, kReadOnly, RunHGetAll,
           {"hash", "2.0.0", "Returns all fields and values of a hash."}),
    KeyRow("HKEYS", 2, kReadOnly, RunHKeys, {"hash", "2.0.0", "Returns all fields of a hash."}),
    KeyRow("HVALS", 2, kReadOnly, RunHVals, {"hash", "2.0.0", "Returns all values of a hash."}),
    KeyRow("HLEN", 2, kReadOnly | kFast, RunHLen,
           {"hash", "2.0.0", "Returns the number of fields of a hash."}),
    FieldRow("HEXISTS", 3, kReadOnly | kFast, RunHExists,
             {"hash", "2.0.0", "Tells whether a hash has a field."}),
    FieldRow("HSTRLEN", 3, kReadOnly | kFast, RunHStrLen,
             {"hash", "3.2.0", "Returns the length of the value of a field."}),
    FieldRow("HSET", -4, kPut, RunHSet, {"hash", "2.0.0", "Sets fields of a hash or an entity."}),
    FieldRow("HMSET", -4, kPut, RunHMSet, {"hash", "2.0.0", "Sets fields of a hash or an entity."}),
    FieldRow("HSETNX", 4, kPut, RunHSetNx,
             {"hash", "2.0.0", "Sets a field of a hash that the hash does not have."}),
    FieldRow("HDEL", -3, kWrite | kFast, RunHDel, {"hash", "2.0.0", "Removes fields of a hash."}),
    FieldRow("HINCRBY", 4, kPut, RunHIncrBy,
             {"hash", "2.0.0", "Adds a number to the integer value of a field."}),
    FieldRow("HINCRBYFLOAT", 4, kPut, RunHIncrByFloat,
             {"hash", "2.6.0", "Adds a number to the floating point value of a field."}),
    KeyRow("HSCAN", -3, kReadOnly, RunHScan,
           {"hash", "2.8.0", "Goes through the fields of a hash, some at a time."}),
    KeyRow("HRANDFIELD", -2, kReadOnly, RunHRandField,
           {"hash", "6.2.0", "Returns random fields of a hash."}),
};

}  // namespace

std::span<const CommandRow> HashCommands() { return kRows; }

}  // namespace bettong::protocol
