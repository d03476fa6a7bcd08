// MAXLEN and MINID of XADD and XTRIM.
#pragma once

#include <optional>
#include <string_view>

#include "grid/key_turn.h"

namespace bettong::protocol {

struct StreamTrimming {
  std::optional<size_t> entries_max;
  std::optional<grid::StreamEntryId> id_min;
  bool approximate = false;     // "~"
  std::optional<size_t> limit;  // at most so many entries go at a time; 0: any number

  bool any() const { return entries_max || id_min; }
};

// Parses the options at args[next...] as far as they are trimming options, and moves `next` behind
// them. The error's text, or empty.
std::string_view ParseStreamTrimming(grid::Args args, size_t& next, StreamTrimming& trimming);
// Of all options together: the error's text, or empty.
std::string_view CheckStreamTrimming(const StreamTrimming& trimming);

// How many entries went.
size_t TrimStream(grid::KeyTurn& turn, const StreamTrimming& trimming);

}  // namespace bettong::protocol
