// Stream entry ids as text: "ms-sequence".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "grid/value.h"

namespace bettong::protocol {

inline constexpr std::string_view kInvalidStreamId =
    "ERR Invalid stream ID specified as stream command argument";

std::string FormatStreamId(grid::StreamEntryId id);

// "5-3", or "5" with the sequence given.
std::optional<grid::StreamEntryId> ParseStreamId(std::string_view text, uint64_t missing_sequence);

// The id that XADD asks for: "*", "5-*", "5-3" or "5".
struct NewStreamId {
  grid::StreamEntryId id;
  bool auto_ms = false, auto_sequence = false;
};
std::optional<NewStreamId> ParseNewStreamId(std::string_view text);

// A bound of XRANGE: also "-", "+" and "(id", which leaves the id itself out.
struct StreamBound {
  grid::StreamEntryId id;
  bool exclusive = false;
};
std::optional<StreamBound> ParseStreamBound(std::string_view text, uint64_t missing_sequence);

// The neighbours; nullopt at the ends.
std::optional<grid::StreamEntryId> NextStreamId(grid::StreamEntryId id);
std::optional<grid::StreamEntryId> PreviousStreamId(grid::StreamEntryId id);

}  // namespace bettong::protocol
