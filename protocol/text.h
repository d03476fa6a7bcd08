// ASCII case and other small text helpers for names and options.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bettong::protocol {

inline char LowerChar(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (LowerChar(a[i]) != LowerChar(b[i])) return false;
  }
  return true;
}

std::string LowerCase(std::string_view text);
std::string UpperCase(std::string_view text);

// The one of `names` closest to `name` by edits, if it is close enough to be a slip.
std::optional<std::string_view> Nearest(std::string_view name,
                                        std::span<const std::string_view> names);

// A key that is not to be guessed is compared in time that does not depend on where it differs.
bool EqualsConstantTime(std::string_view a, std::string_view b);

}  // namespace bettong::protocol
