// Prefetching into the cache.
#pragma once

namespace bettong {

// GCC 12 takes a function that only prefetches for one without effects and drops the calls; the
// empty asm statement is an effect.
inline void PrefetchLine(const void* address) {
  __builtin_prefetch(address);
  asm volatile("" : : "r"(address));
}

}  // namespace bettong
