#include "protocol/command_table.h"

#include <bit>

#include "base/bytes.h"
#include "base/check.h"

namespace bettong::protocol {

CommandTable::CommandTable() {
  for (std::span<const CommandRow> family :
       {ConnectionCommands(), ClientCommands(), ServerCommands(), ConfigCommands(),
        CommandCommands(), ClusterCommands(), GenericCommands(), ExpireCommands(),
        KeyspaceCommands(), StringCommands(), CounterCommands(), HashCommands(), StreamCommands(),
        PubSubCommands(), EntityCommands(), DeadLetterCommands(), SlowLogCommands(),
        ReloadCommands()}) {
    for (const CommandRow& row : family) rows_.push_back(&row);
  }
  slots_.resize(std::bit_ceil(rows_.size() * 8));
  mask_ = slots_.size() - 1;
  for (const CommandRow* row : rows_) {
    BETTONG_CHECK(row->spec.name.size() <= kCommandNameBytesMax);
    BETTONG_CHECK(Find(row->spec.name) == nullptr);
    size_t i = HashOf(row->spec.name) & mask_;
    while (slots_[i] != nullptr) i = (i + 1) & mask_;
    slots_[i] = row;
  }
}

// Letters of both cases differ in one bit, which the masks clear.
size_t CommandTable::HashOf(std::string_view name) {
  constexpr uint64_t kNoCase = 0xdfdfdfdfdfdfdfdfULL;
  uint64_t head = 0, tail = 0;
  if (name.size() >= 8) {
    head = LoadUnaligned<uint64_t>(name.data()) & kNoCase;
    tail = LoadUnaligned<uint64_t>(name.data() + name.size() - 8) & kNoCase;
  } else {
    for (char c : name) head = head << 8 | (static_cast<unsigned char>(c) & 0xdf);
  }
  const uint64_t mixed = (head ^ std::rotl(tail, 29) ^ name.size()) * 0x9e3779b97f4a7c15ULL;
  return static_cast<size_t>(mixed >> 40);
}

KeyArguments KeysOf(const CommandRow& row, Args args) {
  if (row.find_keys != nullptr) {
    const CommandRow::KeyRange range = row.find_keys(args);
    return {range.first, range.count, 1};
  }
  if (row.keys.first == 0) return {};
  const auto first = static_cast<size_t>(row.keys.first);
  const auto step = static_cast<size_t>(row.keys.step);
  const size_t last = row.keys.last >= 0 ? static_cast<size_t>(row.keys.last)
                                         : args.size() - static_cast<size_t>(-row.keys.last);
  if (last < first || last >= args.size()) return {};
  return {first, (last - first) / step + 1, step};
}

}  // namespace bettong::protocol
