// CRC-32C (Castagnoli), the checksum of the log.
#pragma once

#include <cstdint>
#include <string_view>

namespace bettong {

// Continues `crc` (of the bytes before; 0: none) over `bytes`.
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

// The same without the processor's instruction: what Crc32c is on machines that have none.
uint32_t Crc32cByTable(std::string_view bytes, uint32_t crc = 0);

}  // namespace bettong
