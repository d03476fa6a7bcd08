// The letters of notify-keyspace-events.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bettong::protocol {

// NotifyClass bits (grid/key_turn.h); nullopt: a letter that Redis does not know, or "m" (misses),
// which Bettong does not tell of. Letters of what never happens here (l s z e d) are accepted and
// set nothing.
std::optional<uint32_t> ParseNotifyLetters(std::string_view letters);

// The letters as CONFIG GET shows them: sorted as Redis does, "A" for all of "g$lshzxetd".
std::string FormatNotifyLetters(std::string_view letters);

}  // namespace bettong::protocol
