#include "base/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace bettong {

char* AllocateMemoryChunk() {
  void* chunk = std::aligned_alloc(kMemoryChunkBytes, kMemoryChunkBytes);
  BETTONG_CHECK(chunk != nullptr);
  madvise(chunk, kMemoryChunkBytes, MADV_HUGEPAGE);  // advice only: failure costs speed, no more
  std::memset(chunk, 0, kMemoryChunkBytes);
  return static_cast<char*>(chunk);
}

void FreeMemoryChunk(char* chunk) { std::free(chunk); }

}  // namespace bettong
