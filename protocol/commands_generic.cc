// Commands on keys of any type: DEL, EXISTS, TYPE, OBJECT; SCAN and its like are in
// commands_keyspace.cc, EXPIRE and its like in commands_expire.cc.
#include "base/number_text.h"
#include "grid/hash_value.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/text.h"
#include "protocol/value_types.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;
using grid::ValueType;

ReplyWriter ReplyOf(KeyTurn& turn) { return ReplyWriter(turn.reply(), turn.resp3()); }

void RunDel(KeyTurn& turn, Args) {
  if (!turn.exists()) return ReplyOf(turn).Integer(0);
  turn.Delete();
  turn.Notify(grid::kNotifyGeneric, "del");
  ReplyOf(turn).Integer(1);
}

void RunExists(KeyTurn& turn, Args) { ReplyOf(turn).Integer(turn.exists() ? 1 : 0); }

void RunType(KeyTurn& turn, Args) { ReplyOf(turn).Status(TypeName(turn.type())); }

std::string_view EncodingOf(KeyTurn& turn) {
  constexpr size_t kEmbeddedBytesMax = 44;
  switch (turn.type()) {
    case ValueType::kString:
      if (ParseInt(turn.string_value())) return "int";
      return turn.string_value().size() <= kEmbeddedBytesMax ? "embstr" : "raw";
    case ValueType::kHash:
      return turn.hash_size() > grid::kPackedHashFieldsMax ? "hashtable" : "listpack";
    case ValueType::kStream:
      return "stream";
    case ValueType::kEntity:
      return "entity";
    case ValueType::kNone:
      break;
  }
  return "";
}

constexpr std::string_view kObjectHelp[] = {
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. It is not kept: always an error.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>. It is not kept: always 0.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>. Always 1.",
    "HELP",
    "    Print this help.",
};

void RunObjectOnKey(KeyTurn& turn, Args args) {
  ReplyWriter reply = ReplyOf(turn);
  if (EqualsIgnoreCase(args[1], "FREQ")) {
    return reply.Error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
        "that when switching between policies at runtime LRU and LFU data will take some time to "
        "adjust.");
  }
  if (!turn.exists()) return reply.Null();
  if (EqualsIgnoreCase(args[1], "ENCODING")) return reply.Bulk(EncodingOf(turn));
  reply.Integer(EqualsIgnoreCase(args[1], "REFCOUNT") ? 1 : 0);
}

constexpr grid::CommandSpec kObjectOnKey = [] {
  grid::CommandSpec spec = MakeSpec("OBJECT", kReadOnly);
  spec.run_key = RunObjectOnKey;
  return spec;
}();

void RunObject(Session& session, Args args) {
  if (args.size() == 2 && EqualsIgnoreCase(args[1], "HELP")) {
    ReplyWriter reply = session.reply();
    reply.Array(std::size(kObjectHelp));
    for (std::string_view line : kObjectHelp) reply.Status(line);
    return;
  }
  const bool known = EqualsIgnoreCase(args[1], "ENCODING") || EqualsIgnoreCase(args[1], "FREQ") ||
                     EqualsIgnoreCase(args[1], "IDLETIME") || EqualsIgnoreCase(args[1], "REFCOUNT");
  if (!known) return session.ReplyError(UnknownSubcommand(args[1], "object"));
  if (args.size() != 3) {
    return session.ReplyError(WrongArity("object|" + std::string(args[1])));
  }
  session.RouteToKey(kObjectOnKey, args, args[2]);
}

CommandRow::KeyRange ObjectKeys(Args args) {
  return args.size() == 3 ? CommandRow::KeyRange{2, 1} : CommandRow::KeyRange{};
}

constexpr CommandRow ObjectRow() {
  CommandRow row = SessionRow("OBJECT", -2, kReadOnly | kMovableKeys, RunObject,
                              {"generic", "2.2.3", "Looks into how a value is kept."});
  row.scope = Scope::kRouted;
  row.find_keys = ObjectKeys;
  return row;
}

constexpr CommandRow kRows[] = {
    EachKeyRow("DEL", -2, kWrite, RunDel, {"generic", "1.0.0", "Deletes keys."}),
    EachKeyRow("UNLINK", -2, kWrite | kFast, RunDel, {"generic", "4.0.0", "Deletes keys."}),
    EachKeyRow("EXISTS", -2, kReadOnly | kFast, RunExists,
               {"generic", "1.0.0", "Tells how many of the keys exist."}),
    EachKeyRow("TOUCH", -2, kReadOnly | kFast, RunExists,
               {"generic", "3.2.1", "Tells how many of the keys exist."}),
    KeyRow("TYPE", 2, kReadOnly | kFast, RunType,
           {"generic", "1.0.0", "Returns the type of a value; entities are hashes."}),
    ObjectRow(),
};

}  // namespace

std::span<const CommandRow> GenericCommands() { return kRows; }

}  // namespace bettong::protocol
