// Random numbers for commands like HRANDFIELD and RANDOMKEY: seeded by what identifies the command,
// so that a replay of the same commands at the same times draws the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "grid/command.h"

namespace bettong::protocol {

class Random {
 public:
  Random(const grid::Ticket& ticket, TimeMs now_ms)
      : state_(static_cast<uint64_t>(now_ms) ^ ticket.sequence << 32 ^
               ticket.connection.value() << 16) {}

  // splitmix64
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [0, limit); limit > 0.
  size_t Below(size_t limit) { return static_cast<size_t>(Next() % limit); }

 private:
  uint64_t state_;
};

}  // namespace bettong::protocol
