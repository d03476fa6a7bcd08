// Where a key lives: its slot (CRC16 with the {hash tag} rule, exactly as in Redis Cluster) and a
// seeded 32-bit hash for the shard's index.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.h"

namespace bettong {

Slot SlotOfKey(std::string_view key);

// CRC16/XMODEM, the checksum that Redis Cluster maps keys with.
uint16_t Crc16(std::string_view bytes);

// A key with what is needed to route and find it; the text is borrowed.
struct KeyRef {
  std::string_view text;
  uint32_t hash = 0;
  Slot slot;
};

// The seed is drawn once per node, so that nobody outside can construct colliding keys.
uint32_t IndexHash(std::string_view key, uint64_t seed);
KeyRef MakeKeyRef(std::string_view key, uint64_t seed);

}  // namespace bettong
