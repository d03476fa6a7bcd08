// One row of the command table: everything the port knows about a command, as data. A family of
// commands is a file that exports its rows (commands_*.cc); command_table.cc puts them together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "grid/command.h"
#include "protocol/gather.h"
#include "protocol/reply_writer.h"
#include "protocol/tagged_reply.h"

namespace bettong::protocol {

class Session;
class ShardPort;
using grid::Args;

enum CommandFlag : uint32_t {
  kWrite = 1 << 0,
  kReadOnly = 1 << 1,
  kDenyOom = 1 << 2,
  kAdmin = 1 << 3,
  kPubSub = 1 << 4,
  kBlocking = 1 << 5,
  kFast = 1 << 6,
  kNoAuth = 1 << 7,        // allowed before AUTH
  kMovableKeys = 1 << 8,   // find_keys tells where the keys are
  kInSubscribed = 1 << 9,  // allowed on a RESP2 connection with subscriptions (not told to clients)
  kQuiet = 1 << 10,        // starts when all earlier replies of the connection are out (likewise)
  kFeedsStreams = 1 << 11,    // waits while admission is closed (likewise)
  kForSubscribers = 1 << 12,  // concerns ports with subscribers only (likewise)
};

// Who runs a command.
enum class Scope : uint8_t {
  kSession,       // the connection itself
  kRouted,        // the session's function decides where the command goes (CALL, XREAD)
  kKey,           // a turn on the key
  kEachKey,       // a turn on each key, integer replies summed
  kKeysTogether,  // a turn of the shard that has all keys; refused when they are on several shards
  kKeysByShard,   // a turn of each shard that has some of the keys, merged
  kEveryShard,    // a turn of every shard, merged
  kEveryPort,     // every shard's sessions and subscribers, merged
};

// Positions of the keys in args, as COMMAND tells them: last < 0 counts from the end.
struct KeyPositions {
  int first = 0, last = 0, step = 0;
};
inline constexpr KeyPositions kNoKeys{};
inline constexpr KeyPositions kOneKey{1, 1, 1};
inline constexpr KeyPositions kAllKeys{1, -1, 1};
inline constexpr KeyPositions kKeyValuePairs{1, -1, 2};

struct CommandRow {
  grid::CommandSpec spec;
  int arity = 0;  // with the name; negative: at least so many
  uint32_t flags = 0;
  KeyPositions keys;
  Scope scope = Scope::kSession;
  void (*run_session)(Session& session, Args args) = nullptr;
  void (*run_port)(ShardPort& port, Args args, std::string& part) = nullptr;
  void (*merge)(Gather& gather, ReplyWriter& reply) = nullptr;
  // kMovableKeys: index of the first key and how many follow each other; none: {0, 0}.
  struct KeyRange {
    size_t first = 0, count = 0;
  };
  KeyRange (*find_keys)(Args args) = nullptr;
  std::string_view group, since, summary;
};

constexpr grid::CommandSpec MakeSpec(std::string_view name, uint32_t flags) {
  grid::CommandSpec spec;
  spec.name = name;
  spec.writes = (flags & kWrite) != 0;
  spec.grows_memory = (flags & kDenyOom) != 0;
  spec.reads_committed = (flags & kReadOnly) != 0;
  spec.encode = EncodeTagged;
  return spec;
}

// What COMMAND DOCS tells.
struct Docs {
  std::string_view group, since, summary;
};

constexpr CommandRow KeyRow(std::string_view name, int arity, uint32_t flags,
                            void (*run)(grid::KeyTurn&, Args), Docs docs) {
  CommandRow row{.spec = MakeSpec(name, flags), .arity = arity, .flags = flags, .keys = kOneKey};
  row.scope = Scope::kKey;
  row.spec.run_key = run;
  // To clients an entity is a hash.
  row.spec.reads_fields = docs.group == "hash";
  row.group = docs.group, row.since = docs.since, row.summary = docs.summary;
  return row;
}

constexpr CommandRow EachKeyRow(std::string_view name, int arity, uint32_t flags,
                                void (*run)(grid::KeyTurn&, Args), Docs docs) {
  CommandRow row = KeyRow(name, arity, flags, run, docs);
  row.scope = Scope::kEachKey;
  row.keys = kAllKeys;
  row.merge = MergeSum;
  return row;
}

constexpr CommandRow SessionRow(std::string_view name, int arity, uint32_t flags,
                                void (*run)(Session&, Args), Docs docs) {
  CommandRow row{.spec = MakeSpec(name, flags), .arity = arity, .flags = flags};
  row.run_session = run;
  row.group = docs.group, row.since = docs.since, row.summary = docs.summary;
  return row;
}

constexpr CommandRow ShardRow(std::string_view name, int arity, uint32_t flags, Scope scope,
                              KeyPositions keys, void (*run)(grid::ShardTurn&, Args),
                              void (*merge)(Gather&, ReplyWriter&), Docs docs) {
  CommandRow row{.spec = MakeSpec(name, flags), .arity = arity, .flags = flags, .keys = keys};
  row.scope = scope;
  row.spec.run_shard = run;
  row.merge = merge;
  row.group = docs.group, row.since = docs.since, row.summary = docs.summary;
  return row;
}

constexpr CommandRow PortRow(std::string_view name, int arity, uint32_t flags,
                             void (*run)(ShardPort&, Args, std::string&),
                             void (*merge)(Gather&, ReplyWriter&), Docs docs) {
  CommandRow row{.spec = MakeSpec(name, flags), .arity = arity, .flags = flags};
  row.scope = Scope::kEveryPort;
  row.run_port = run;
  row.merge = merge;
  row.group = docs.group, row.since = docs.since, row.summary = docs.summary;
  return row;
}

}  // namespace bettong::protocol
