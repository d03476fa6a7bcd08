// Redis's glob patterns, as KEYS, SCAN MATCH, PSUBSCRIBE and CONFIG GET use them:
// * ? [abc] [^abc] [a-z] and backslash to take a character literally.
#pragma once

#include <string_view>

namespace bettong::protocol {

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);

// The pattern matches itself only.
bool IsLiteralPattern(std::string_view pattern);

}  // namespace bettong::protocol
