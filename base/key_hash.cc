#include "base/key_hash.h"

#include <array>

#include <xxhash.h>

namespace bettong {
namespace {

// Eight tables for slicing-by-8: table[k][b] is the CRC of byte b followed by k zero bytes.
using Crc16Tables = std::array<std::array<uint16_t, 256>, 8>;

constexpr Crc16Tables MakeTables() {
  Crc16Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint16_t crc = static_cast<uint16_t>(byte << 8);
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1);
    }
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint16_t crc = tables[k - 1][byte];
      tables[k][byte] = static_cast<uint16_t>((crc << 8) ^ tables[0][crc >> 8]);
    }
  }
  return tables;
}

constexpr Crc16Tables kTables = MakeTables();

// Inline: a key is short, and all of them are called for each.
inline uint16_t CrcOf(std::string_view bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  uint32_t crc = 0;
  for (; left >= 8; left -= 8, p += 8) {
    crc = static_cast<uint32_t>(kTables[7][p[0] ^ (crc >> 8)] ^ kTables[6][p[1] ^ (crc & 0xff)] ^
                                kTables[5][p[2]] ^ kTables[4][p[3]] ^ kTables[3][p[4]] ^
                                kTables[2][p[5]] ^ kTables[1][p[6]] ^ kTables[0][p[7]]);
  }
  for (; left > 0; --left, ++p) {
    crc = ((crc << 8) & 0xffff) ^ kTables[0][((crc >> 8) ^ *p) & 0xff];
  }
  return static_cast<uint16_t>(crc);
}

inline Slot SlotOf(std::string_view key) {
  size_t open = key.find('{');
  if (open != std::string_view::npos) {
    size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return Slot(static_cast<uint16_t>(CrcOf(key) & (kSlotCount - 1)));
}

inline uint32_t HashOf(std::string_view key, uint64_t seed) {
  return static_cast<uint32_t>(XXH3_64bits_withSeed(key.data(), key.size(), seed) >> 32);
}

}  // namespace

uint16_t Crc16(std::string_view bytes) { return CrcOf(bytes); }

Slot SlotOfKey(std::string_view key) { return SlotOf(key); }

uint32_t IndexHash(std::string_view key, uint64_t seed) { return HashOf(key, seed); }

KeyRef MakeKeyRef(std::string_view key, uint64_t seed) {
  return KeyRef{key, HashOf(key, seed), SlotOf(key)};
}

}  // namespace bettong
