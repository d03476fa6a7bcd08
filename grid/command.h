// A command on one key (or on one shard) as the core sees it. The command table and the meaning of
// the commands live in protocol/; the core only needs to know how to run one as a turn.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace bettong::grid {

class KeyTurn;
class ShardTurn;

using Args = std::span<const std::string_view>;  // args[0] is the command's name

// Where a reply goes. `part` numbers the pieces of a command that several shards or keys answer.
struct Ticket {
  ConnectionId connection;
  uint64_t sequence = 0;
  ShardId home;
  uint16_t part = 0;
  bool resp3 = false;
};

// What a write that grows memory gets over the limit.
inline constexpr std::string_view kOutOfMemory =
    "OOM command not allowed when used memory > 'maxmemory'.";

// What a write gets while the log's disk is full.
inline constexpr std::string_view kReadOnly =
    "MISCONF The log cannot be written because its disk is full. Commands that may modify the data "
    "set are refused until there is room; reads go on.";

struct CommandSpec {
  std::string_view name;  // upper case

  // Exactly one of these is set. They append the reply's bytes to the turn's reply().
  void (*run_key)(KeyTurn& turn, Args args) = nullptr;  // a turn on the message's key
  void (*run_shard)(ShardTurn& turn,
                    Args args) = nullptr;  // looks at the whole shard, or several keys
  bool calls_entity = false;               // CALL/FCALL: lent to the class's compute host

  bool writes = false;           // waits while the key is lent; refused when over maxmemory if...
  bool grows_memory = false;     // ...this is set (Redis's "denyoom")
  uint8_t field_argument = 0;    // args[this] is a field of the key's hash, to be fetched ahead
  bool reads_committed = false;  // may answer from the committed row while the key is lent
  bool reads_fields = false;     // but not while that is of a class with containers

  // Turns a tagged value (grid/tagged.h) into reply bytes; used for the results of calls_entity and
  // for errors of the core itself.
  void (*encode)(std::string_view tagged, bool resp3, std::string& reply) = nullptr;
};

}  // namespace bettong::grid
