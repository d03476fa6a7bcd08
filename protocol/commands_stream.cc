#include "protocol/command_table.h"
namespace bettong::protocol {
std::span<const CommandRow> StreamCommands() { return {}; }
std::span<const CommandRow> ServerCommands() { return {}; }
}  // namespace bettong::protocol
