// All commands of the port: look-up by name in any case, without allocation. Immutable; shared by
// all shards of a server.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/command_row.h"

namespace bettong::protocol {

inline constexpr size_t kCommandNameBytesMax = 32;

class CommandTable {
 public:
  CommandTable();

  const CommandRow* Find(std::string_view name) const { return slots_[SlotOf(name)]; }
  // A number below slot_count(): the command's own, or of a slot that At says is nobody's.
  size_t SlotOf(std::string_view name) const {
    size_t i = HashOf(name) & mask_;
    while (slots_[i] != nullptr && !Matches(slots_[i]->spec.name, name)) i = (i + 1) & mask_;
    return i;
  }
  const CommandRow* At(size_t slot) const { return slots_[slot]; }
  size_t slot_count() const { return slots_.size(); }

  // In the order of the families.
  std::span<const CommandRow* const> rows() const { return rows_; }

 private:
  static size_t HashOf(std::string_view name);
  // `upper` against a name in any case.
  static bool Matches(std::string_view upper, std::string_view name) {
    if (upper.size() != name.size()) return false;
    for (size_t i = 0; i < upper.size(); ++i) {
      const char c = name[i];
      if (upper[i] != (c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c)) return false;
    }
    return true;
  }

  std::vector<const CommandRow*> rows_;
  std::vector<const CommandRow*> slots_;  // a power of two, mostly empty
  size_t mask_ = 0;
};

// The range of keys among `args`: count keys, `step` arguments apart, from args[first] on.
struct KeyArguments {
  size_t first = 0, count = 0, step = 1;
};
KeyArguments KeysOf(const CommandRow& row, Args args);

// The families.
std::span<const CommandRow> ConnectionCommands();
std::span<const CommandRow> ClientCommands();
std::span<const CommandRow> ServerCommands();
std::span<const CommandRow> ConfigCommands();
std::span<const CommandRow> CommandCommands();
std::span<const CommandRow> ClusterCommands();
std::span<const CommandRow> GenericCommands();
std::span<const CommandRow> ExpireCommands();
std::span<const CommandRow> KeyspaceCommands();
std::span<const CommandRow> StringCommands();
std::span<const CommandRow> CounterCommands();
std::span<const CommandRow> HashCommands();
std::span<const CommandRow> StreamCommands();
std::span<const CommandRow> PubSubCommands();
std::span<const CommandRow> EntityCommands();
std::span<const CommandRow> DeadLetterCommands();
std::span<const CommandRow> ReloadCommands();
std::span<const CommandRow> SlowLogCommands();

}  // namespace bettong::protocol
