// Bytes and times as tools show them: for people, cut, and for programs, whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace bettong::grid {

// Of one value, or list, in a line of text.
inline constexpr size_t kTextBytesMax = 80;
inline constexpr size_t kTextItemsMax = 8;

// "2026-11-25T09:30:00.123Z", "never", or "none".
void AppendTimeText(TimeMs time_ms, std::string& out);

// Text that a terminal can show.
bool IsText(std::string_view bytes);
// Quoted, cut after some bytes; what is no text in hexadecimal.
void AppendBytesText(std::string_view bytes, std::string& out);
// A JSON string; what is no text as {"hex":"..."}.
void AppendBytesJson(std::string_view bytes, std::string& out);

}  // namespace bettong::grid
