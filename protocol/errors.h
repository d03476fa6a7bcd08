// Error replies in Redis's exact words.
#pragma once

#include <string>
#include <string_view>

#include "grid/key_turn.h"

namespace bettong::protocol {

inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNotAFloat = "ERR value is not a valid float";
inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kNoAuthentication = "NOAUTH Authentication required.";

std::string WrongArity(std::string_view command);
std::string InvalidExpire(std::string_view command);
std::string UnknownSubcommand(std::string_view subcommand, std::string_view command);

// The key holds a value of another type: says which class if it is an entity.
void ReplyWrongType(grid::KeyTurn& turn);

// A string or a hash is about to be put where an app has claimed the name: the key carries a
// class's prefix, or is that of a declared stream. Replies the error and answers true.
bool RefusesNewKey(grid::KeyTurn& turn);

}  // namespace bettong::protocol
