#include "protocol/errors.h"

#include "protocol/text.h"

namespace bettong::protocol {

std::string WrongArity(std::string_view command) {
  return "ERR wrong number of arguments for '" + LowerCase(command) + "' command";
}

std::string InvalidExpire(std::string_view command) {
  return "ERR invalid expire time in '" + LowerCase(command) + "' command";
}

std::string UnknownSubcommand(std::string_view subcommand, std::string_view command) {
  return "ERR unknown subcommand '" + std::string(subcommand.substr(0, 128)) + "'. Try " +
         UpperCase(command) + " HELP.";
}

void ReplyWrongType(grid::KeyTurn& turn) {
  if (turn.type() != grid::ValueType::kEntity) return turn.ReplyError(kWrongType);
  turn.ReplyError("WRONGTYPE Key '" + std::string(turn.key()) + "' holds an entity of class " +
                  turn.entity_class().name + "; use CALL or HSET");
}

bool RefusesNewKey(grid::KeyTurn& turn) {
  if (turn.catalog().FindStream(turn.key()) != nullptr) {
    turn.ReplyError("WRONGTYPE Key '" + std::string(turn.key()) +
                    "' is the name of a declared stream");
    return true;
  }
  if (turn.catalog().classes.empty()) return false;
  const grid::ClassSchema* entity_class = turn.catalog().ClassOfKey(turn.key());
  if (entity_class == nullptr) return false;
  turn.ReplyError("WRONGTYPE Key '" + std::string(turn.key()) + "' belongs to entities of class " +
                  entity_class->name + ", which only events and CALL create");
  return true;
}

}  // namespace bettong::protocol
