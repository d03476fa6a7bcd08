// The commands of the tests' shards: as few as needed to reach every operation of KeyTurn and
// ShardTurn. A line is split at spaces; replies are plain text ("nil", "1", "-ERR ...").
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/number_text.h"
#include "grid/catalog.h"
#include "grid/key_turn.h"
#include "grid/message.h"
#include "grid/slot_map.h"
#include "grid/tagged.h"

namespace bettong::grid {
namespace test_commands {

inline int64_t Number(std::string_view text) {
  auto number = ParseInt(text);
  BETTONG_CHECK(number.has_value());
  return *number;
}

inline bool WrongType(KeyTurn& turn, ValueType type) {
  if (turn.type() == ValueType::kNone || turn.type() == type) return false;
  turn.reply() += "WRONGTYPE";
  return true;
}

inline void Get(KeyTurn& turn, Args) {
  if (WrongType(turn, ValueType::kString)) return;
  turn.reply() += turn.exists() ? turn.string_value() : "nil";
}
// SET key value [deadline]
inline void Set(KeyTurn& turn, Args args) {
  if (turn.type() == ValueType::kEntity || turn.catalog().ClassOfKey(turn.key()) != nullptr) {
    turn.reply() += "WRONGTYPE";
    return;
  }
  turn.PutString(args[2], args.size() > 3 ? Number(args[3]) : kNeverExpires);
  turn.Notify(kNotifyString, "set");
  turn.reply() += "OK";
}
inline void Append(KeyTurn& turn, Args args) {
  if (WrongType(turn, ValueType::kString)) return;
  if (!turn.exists()) {
    turn.PutString(args[2], kNeverExpires);
  } else {
    turn.UpdateString(std::string(turn.string_value()) + std::string(args[2]));
  }
  turn.reply() += std::to_string(turn.string_value().size());
}
inline void Incr(KeyTurn& turn, Args) {
  if (WrongType(turn, ValueType::kString)) return;
  int64_t count = turn.exists() ? ParseInt(turn.string_value()).value_or(0) : 0;
  std::string text = std::to_string(count + 1);
  if (turn.exists()) {
    turn.UpdateString(text);
  } else {
    turn.PutString(text, kNeverExpires);
  }
  turn.reply() += text;
}
inline void Del(KeyTurn& turn, Args) {
  bool existed = turn.exists();
  if (existed) {
    turn.Delete();
    turn.Notify(kNotifyGeneric, "del");
  }
  turn.reply() += existed ? "1" : "0";
}
inline void Type(KeyTurn& turn, Args) {
  static constexpr std::string_view kNames[] = {"none", "string", "hash", "stream", "entity"};
  turn.reply() += kNames[static_cast<size_t>(turn.type())];
}
inline void ExpireAt(KeyTurn& turn, Args args) {
  bool existed = turn.exists();
  if (existed) turn.SetDeadline(Number(args[2]));
  turn.reply() += existed ? "1" : "0";
}
inline void Persist(KeyTurn& turn, Args) {
  if (turn.exists()) turn.SetDeadline(kNeverExpires);
  turn.reply() += "OK";
}
inline void Deadline(KeyTurn& turn, Args) {
  if (!turn.exists()) {
    turn.reply() += "nil";
  } else if (turn.deadline_ms() == kNeverExpires) {
    turn.reply() += "never";
  } else {
    AppendInt(turn.deadline_ms(), turn.reply());
  }
}

inline void HSet(KeyTurn& turn, Args args) {
  if (turn.catalog().ClassOfKey(turn.key()) != nullptr || WrongType(turn, ValueType::kHash)) return;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  for (size_t i = 2; i + 1 < args.size(); i += 2) fields.emplace_back(args[i], args[i + 1]);
  turn.reply() += std::to_string(turn.HashSet(fields));
}
inline void HGet(KeyTurn& turn, Args args) {
  if (WrongType(turn, ValueType::kHash)) return;
  auto value = turn.exists() ? turn.HashGet(args[2]) : std::nullopt;
  turn.reply() += value ? *value : "nil";
}
inline void HDel(KeyTurn& turn, Args args) {
  if (WrongType(turn, ValueType::kHash)) return;
  turn.reply() += std::to_string(turn.exists() ? turn.HashDelete(args.subspan(2)) : 0);
}
inline void HLen(KeyTurn& turn, Args) {
  if (WrongType(turn, ValueType::kHash)) return;
  turn.reply() += std::to_string(turn.exists() ? turn.hash_size() : 0);
}
// HSCAN key cursor count: "next field ..."
inline void HScan(KeyTurn& turn, Args args) {
  int64_t left = Number(args[3]);
  std::string fields;
  uint64_t next = turn.HashVisit(static_cast<uint64_t>(Number(args[2])),
                                 [&](std::string_view field, std::string_view) {
                                   fields += " " + std::string(field);
                                   return --left > 0;
                                 });
  turn.reply() += std::to_string(next) + fields;
}

// XADD key ms sequence payload
inline void XAdd(KeyTurn& turn, Args args) {
  if (WrongType(turn, ValueType::kStream)) return;
  StreamEntryId id{static_cast<uint64_t>(Number(args[2])), static_cast<uint64_t>(Number(args[3]))};
  turn.StreamAppend(id, StreamEntryForm::kFields, args[4]);
  StreamId stream;
  const StreamSchema* schema = turn.catalog().FindStream(turn.key(), &stream);
  if (schema != nullptr) turn.FeedStream(stream, id, args[4]);
  if (schema != nullptr && schema->adds_are_durable) turn.ReplyWhenDurable();
  turn.reply() += "OK";
}
inline void XTrim(KeyTurn& turn, Args args) {
  if (WrongType(turn, ValueType::kStream)) return;
  if (turn.exists()) {
    turn.StreamTrim(
        {static_cast<uint64_t>(Number(args[2])), static_cast<uint64_t>(Number(args[3]))});
  }
  turn.reply() += "OK";
}
inline std::string Entries(KeyTurn& turn, StreamEntryId after) {
  std::string out;
  if (turn.type() != ValueType::kStream) return out;
  const StreamValue& stream = turn.stream_value();
  after.sequence += 1;
  for (size_t i = stream.LowerBound(after); i < stream.entries.size(); ++i) {
    if (!out.empty()) out += " ";
    out += std::to_string(stream.entries[i].id.ms) + "-" +
           std::to_string(stream.entries[i].id.sequence) + "=" + stream.entries[i].payload;
  }
  return out;
}
inline void XRange(KeyTurn& turn, Args) { turn.reply() += Entries(turn, {}); }
// XREAD key ms sequence [block_ms]: entries behind the id; waits if there are none
inline void XRead(KeyTurn& turn, Args args) {
  StreamEntryId after{static_cast<uint64_t>(Number(args[2])),
                      static_cast<uint64_t>(Number(args[3]))};
  std::string entries = Entries(turn, after);
  if (!entries.empty()) {
    turn.reply() += entries;
  } else {
    turn.WaitForAppend(args, args.size() > 4 ? turn.now_ms() + Number(args[4]) : kNeverExpires,
                       "timeout");
  }
}
// MXREAD block_ms key ...: from the start of each; waits on all
inline void MXRead(ShardTurn& shard, Args args) {
  std::string found;
  for (std::string_view key : args.subspan(2)) {
    KeyTurn turn = shard.Key(key, shard.reply());
    std::string entries = Entries(turn, {});
    if (!entries.empty()) found += std::string(key) + ":" + entries + ";";
  }
  shard.reply() += found;
  if (!found.empty()) return;
  for (std::string_view key : args.subspan(2)) {
    shard.Key(key, shard.reply()).WaitForAppend(args, shard.now_ms() + Number(args[1]), "timeout");
  }
}

// FIELD key name: an entity's field, from the committed row
inline void Field(KeyTurn& turn, Args args) {
  if (WrongType(turn, ValueType::kEntity)) return;
  if (!turn.exists()) {
    turn.reply() += "nil";
    return;
  }
  size_t index = 0;
  BETTONG_CHECK(turn.entity_class().row.Find(args[2], &index) != nullptr);
  turn.entity_class().row.AppendText(turn.entity_row(), index, turn.reply());
}
// FSET key name text
inline void FieldSet(KeyTurn& turn, Args args) {
  if (WrongType(turn, ValueType::kEntity)) return;
  if (!turn.exists()) {
    turn.reply() += "nil";
    return;
  }
  size_t index = 0;
  BETTONG_CHECK(turn.entity_class().row.Find(args[2], &index) != nullptr);
  std::string encoded;
  std::string error = turn.entity_class().row.ParseText(index, args[3], encoded);
  if (error.empty()) turn.EntitySet(index, encoded);
  turn.reply() += error.empty() ? "OK" : error;
}

inline void DbSize(ShardTurn& turn, Args) {
  turn.reply() += std::to_string(turn.key_count()) + "/" +
                  std::to_string(turn.keys_with_deadline()) + "/" +
                  std::to_string(turn.entity_count());
}
inline void FlushAll(ShardTurn& turn, Args) {
  turn.FlushAll();
  turn.reply() += "OK";
}
// SCAN cursor count: "next key ..."
inline void Scan(ShardTurn& turn, Args args) {
  std::string keys;
  uint64_t next =
      turn.Scan(static_cast<uint64_t>(Number(args[1])), static_cast<size_t>(Number(args[2])),
                [&](std::string_view key, ValueType) { keys += " " + std::string(key); });
  turn.reply() += std::to_string(next) + keys;
}

inline void Encode(std::string_view tagged, bool, std::string& reply) {
  TaggedReader in(tagged);
  while (!in.empty() && in.ok()) {
    TaggedItem item = in.Next();
    switch (item.tag) {
      case Tag::kInt:
        reply += std::to_string(item.integer);
        break;
      case Tag::kNil:
        reply += "nil";
        break;
      case Tag::kError:
        reply += "-";
        [[fallthrough]];
      default:
        reply += item.bytes;
    }
  }
}

}  // namespace test_commands

inline const CommandSpec* FindTestCommand(std::string_view name) {
  namespace t = test_commands;
  auto key = [](std::string_view command, auto run, bool writes, bool grows, bool committed) {
    return CommandSpec{.name = command,
                       .run_key = run,
                       .writes = writes,
                       .grows_memory = grows,
                       .reads_committed = committed,
                       .encode = t::Encode};
  };
  auto shard = [](std::string_view command, auto run) {
    return CommandSpec{.name = command, .run_shard = run, .encode = t::Encode};
  };
  static const CommandSpec kCommands[] = {
      key("GET", t::Get, false, false, true),
      key("SET", t::Set, true, true, false),
      key("APPEND", t::Append, true, true, false),
      key("INCR", t::Incr, true, true, false),
      key("DEL", t::Del, true, false, false),
      key("TYPE", t::Type, false, false, true),
      key("EXPIREAT", t::ExpireAt, true, false, false),
      key("PERSIST", t::Persist, true, false, false),
      key("DEADLINE", t::Deadline, false, false, true),
      key("HSET", t::HSet, true, true, false),
      key("HGET", t::HGet, false, false, true),
      key("HDEL", t::HDel, true, false, false),
      key("HLEN", t::HLen, false, false, true),
      key("HSCAN", t::HScan, false, false, true),
      key("XADD", t::XAdd, true, true, false),
      key("XTRIM", t::XTrim, true, false, false),
      key("XRANGE", t::XRange, false, false, true),
      key("XREAD", t::XRead, false, false, false),
      shard("MXREAD", t::MXRead),
      key("FIELD", t::Field, false, false, true),
      key("FSET", t::FieldSet, true, true, false),
      shard("DBSIZE", t::DbSize),
      shard("FLUSHALL", t::FlushAll),
      shard("SCAN", t::Scan),
      CommandSpec{.name = "CALL", .calls_entity = true, .encode = t::Encode},
  };
  for (const CommandSpec& command : kCommands) {
    if (command.name == name) return &command;
  }
  BETTONG_CHECK(false);
  return nullptr;
}

// A line as a message; what the message borrows lies here. "CALL key method script...": the script
// is the rest of the line.
struct TestCommandLine {
  TestCommandLine(std::string_view line, const Catalog& catalog, const SlotMap& slot_map)
      : text(line) {
    std::string_view left = text;
    bool call = left.starts_with("CALL ");
    while (!left.empty()) {
      size_t space = call && args.size() == 3 ? std::string_view::npos : left.find(' ');
      args.push_back(left.substr(0, space));
      left = space == std::string_view::npos ? "" : left.substr(space + 1);
    }
    message.kind = MessageKind::kCommand;
    message.command = FindTestCommand(args[0]);
    message.args = args;
    if (message.command->run_shard == nullptr) message.key = slot_map.Key(args[1]);
    if (!call) return;
    const ClassSchema* entity_class = catalog.ClassOfKey(args[1], &message.entity_class);
    BETTONG_CHECK(entity_class != nullptr);
    for (size_t i = 0; i < entity_class->commands.size(); ++i) {
      if (entity_class->commands[i].name == args[2])
        message.entity_command = static_cast<uint16_t>(i);
    }
    TaggedWriter out(arguments);
    out.List(1);
    out.Text(args.size() > 3 ? args[3] : "");
    message.arguments = arguments;
  }
  TestCommandLine(const TestCommandLine&) = delete;

  std::string text;
  std::vector<std::string_view> args;
  std::string arguments;
  Message message;
};

}  // namespace bettong::grid
