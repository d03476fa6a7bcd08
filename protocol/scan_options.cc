#include "protocol/scan_options.h"

#include <charconv>

#include "base/number_text.h"
#include "protocol/errors.h"
#include "protocol/text.h"

namespace bettong::protocol {

std::string_view ParseScanOptions(grid::Args args, size_t first, bool of_keys,
                                  ScanOptions& options) {
  for (size_t i = first; i < args.size(); ++i) {
    const bool has_value = i + 1 < args.size();
    if (EqualsIgnoreCase(args[i], "COUNT") && has_value) {
      const auto count = ParseInt(args[++i]);
      if (!count) return kNotAnInteger;
      if (*count < 1) return kSyntaxError;
      options.count = static_cast<size_t>(*count);
    } else if (EqualsIgnoreCase(args[i], "MATCH") && has_value) {
      options.pattern = args[++i];
      if (options.pattern == "*") options.pattern = {};
    } else if (of_keys && EqualsIgnoreCase(args[i], "TYPE") && has_value) {
      options.type = args[++i];
    } else if (!of_keys && EqualsIgnoreCase(args[i], "NOVALUES")) {
      options.no_values = true;
    } else {
      return kSyntaxError;
    }
  }
  return {};
}

std::optional<uint64_t> ParseCursor(std::string_view text) {
  uint64_t cursor = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return cursor;
}

}  // namespace bettong::protocol
