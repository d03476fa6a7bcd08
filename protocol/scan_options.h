// MATCH, COUNT and the like of SCAN and HSCAN.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "grid/command.h"
#include "protocol/glob.h"

namespace bettong::protocol {

inline constexpr size_t kScanCountDefault = 10;

struct ScanOptions {
  std::string_view pattern;  // empty: everything
  size_t count = kScanCountDefault;
  std::string_view type;   // SCAN: empty: every type
  bool no_values = false;  // HSCAN

  bool Matches(std::string_view name) const { return pattern.empty() || GlobMatch(pattern, name); }
};

// Parses args[first...]; the error's text if they are wrong, else empty.
std::string_view ParseScanOptions(grid::Args args, size_t first, bool of_keys,
                                  ScanOptions& options);

std::optional<uint64_t> ParseCursor(std::string_view text);

}  // namespace bettong::protocol
