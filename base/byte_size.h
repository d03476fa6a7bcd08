// Sizes in bytes as people and Redis clients write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace bettong {

// "1024", "100mb", "2g": Redis's units, in any case: k, m and g are powers of 1000, kb, mb and gb
// of 1024.
std::optional<uint64_t> ParseByteSize(std::string_view text);

}  // namespace bettong
