#include "protocol/glob.h"

#include <cctype>
#include <cstddef>

namespace bettong::protocol {
namespace {

unsigned char Fold(char c, bool ignore_case) {
  auto byte = static_cast<unsigned char>(c);
  return ignore_case ? static_cast<unsigned char>(std::tolower(byte)) : byte;
}

// Matches one character against the class that starts at pattern[at] == '['; moves `at` behind it.
// A class that is not closed ends with the pattern, as in Redis.
bool MatchClass(std::string_view pattern, size_t& at, char c, bool ignore_case) {
  ++at;
  const bool inverted = at < pattern.size() && pattern[at] == '^';
  if (inverted) ++at;
  const unsigned char wanted = Fold(c, ignore_case);
  bool matches = false;
  for (;; ++at) {
    if (at >= pattern.size()) break;
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      ++at;
      if (Fold(pattern[at], ignore_case) == wanted) matches = true;
    } else if (pattern[at] == ']') {
      ++at;
      break;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      unsigned char low = Fold(pattern[at], ignore_case);
      unsigned char high = Fold(pattern[at + 2], ignore_case);
      if (low > high) {
        const unsigned char swapped = low;
        low = high;
        high = swapped;
      }
      at += 2;
      if (wanted >= low && wanted <= high) matches = true;
    } else if (Fold(pattern[at], ignore_case) == wanted) {
      matches = true;
    }
  }
  return matches != inverted;
}

}  // namespace

// A mismatch goes back to the last star only and lets it take one character more: a later star can
// make up for any choice of an earlier one. So the time is bounded by pattern * text.
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t p = 0, t = 0, star_pattern = kNone, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star_pattern = ++p;
      star_text = t;
      continue;
    }
    bool matches = false;
    if (p < pattern.size()) {
      if (pattern[p] == '?') {
        ++p;
        matches = true;
      } else if (pattern[p] == '[') {
        matches = MatchClass(pattern, p, text[t], ignore_case);
      } else {
        if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
        matches = Fold(pattern[p], ignore_case) == Fold(text[t], ignore_case);
        ++p;
      }
    }
    if (matches) {
      ++t;
      continue;
    }
    if (star_pattern == kNone) return false;
    p = star_pattern;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool IsLiteralPattern(std::string_view pattern) {
  return pattern.find_first_of("*?[\\") == std::string_view::npos;
}

}  // namespace bettong::protocol
