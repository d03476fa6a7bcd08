// Prefetching into the cache.
#pragma once

#include <cstddef>

namespace bettong {

// GCC 12 takes a function that only prefetches for one without effects and drops the calls; the
// empty asm statement is an effect.
inline void PrefetchLine(const void* address) {
  __builtin_prefetch(address);
  asm volatile("" : : "r"(address));
}

// All lines of an object, wherever in a line it begins.
template <typename T>
void PrefetchObject(const T* object) {
  const auto* bytes = reinterpret_cast<const char*>(object);
  for (size_t line = 0; line < sizeof(T); line += 64) PrefetchLine(bytes + line);
  PrefetchLine(bytes + sizeof(T) - 1);
}

// As the only core's, to be written to.
inline void PrefetchForWriting(const void* address) {
#ifdef __x86_64__
  // GCC takes it for a plain prefetch unless the target has it for sure; others ignore it.
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
  asm volatile("" : : "r"(address));
#endif
}

}  // namespace bettong
