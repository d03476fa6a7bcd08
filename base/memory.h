// Large, aligned chunks of memory for slabs; the kernel is asked to back them with huge pages,
// which is worth about a third of the cost of a random access at a million keys.
#pragma once

#include <cstddef>

namespace bettong {

inline constexpr size_t kMemoryChunkBytes = 2u << 20;

// Zeroed. Crashes when the system has no memory left.
char* AllocateMemoryChunk();
void FreeMemoryChunk(char* chunk);

}  // namespace bettong
