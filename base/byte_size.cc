#include "base/byte_size.h"

#include <charconv>
#include <utility>

#include "base/ascii.h"

namespace bettong {

std::optional<uint64_t> ParseByteSize(std::string_view text) {
  constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1},         {"b", 1},         {"k", 1000},         {"kb", 1u << 10},
      {"m", 1000'000}, {"mb", 1u << 20}, {"g", 1000'000'000}, {"gb", 1u << 30},
  };
  uint64_t amount = 0;
  const char* text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, amount);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text_end - end));
  for (const auto& [name, factor] : kUnits) {
    uint64_t bytes = 0;
    if (EqualsIgnoreCase(name, unit) && !__builtin_mul_overflow(amount, factor, &bytes)) {
      return bytes;
    }
  }
  return std::nullopt;
}

}  // namespace bettong
