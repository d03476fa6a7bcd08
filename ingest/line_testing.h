// What a LineReader makes of a line, as text for tests.
#pragma once

#include <string>
#include <string_view>

#include "ingest/line_reader.h"

namespace bettong::ingest {

inline constexpr TimeMs kLineTestNow = 1'700'000'000'123;

// "cpu,host=a v=1i" is `measurement="cpu" host~"a" v=1 time@1700000000123`: '=' before a typed
// value, '~' before a tag, ':' before a cell, '@' before a time. "-": no event. Else what is wrong.
std::string ReadLine(LineReader& reader, std::string_view line);

}  // namespace bettong::ingest
