#include "base/crc32c.h"

#include <array>
#include <cstddef>

#include "base/bytes.h"

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

namespace bettong {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

// tables[k][b]: the CRC of byte b with k zero bytes behind it, so that eight bytes take eight
// look-ups that do not wait for each other.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < tables.size(); ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t Crc32cByTable(std::string_view bytes, uint32_t crc) {
  const char* at = bytes.data();
  size_t left = bytes.size();
  uint32_t state = ~crc;
  for (; left >= 8; at += 8, left -= 8) {
    const uint64_t word = LoadUnaligned<uint64_t>(at) ^ state;
    state = 0;
    for (size_t k = 0; k < 8; ++k) state ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; left > 0; ++at, --left) {
    state = (state >> 8) ^ kTables[0][(state ^ static_cast<unsigned char>(*at)) & 0xff];
  }
  return ~state;
}

#ifdef __SSE4_2__

uint32_t Crc32c(std::string_view bytes, uint32_t crc) {
  const char* at = bytes.data();
  size_t left = bytes.size();
  uint64_t state = ~crc;
  for (; left >= 8; at += 8, left -= 8) state = _mm_crc32_u64(state, LoadUnaligned<uint64_t>(at));
  auto state32 = static_cast<uint32_t>(state);
  for (; left > 0; ++at, --left) {
    state32 = _mm_crc32_u8(state32, static_cast<unsigned char>(*at));
  }
  return ~state32;
}

#else

uint32_t Crc32c(std::string_view bytes, uint32_t crc) { return Crc32cByTable(bytes, crc); }

#endif

}  // namespace bettong
