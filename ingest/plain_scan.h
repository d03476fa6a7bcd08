// Scans the bytes of JSON texts many at a time, for plain_json.h: where a string ends, and which
// number digits write.
#pragma once

#include <bit>
#include <cstdint>

#include "base/bytes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace bettong::ingest {

inline constexpr int kDigitsMax = 18;  // fit an int64

// The first of '"', '\\' and control characters in [at, end), or null. Reads 15 bytes beyond.
// `has_high_bytes` is set if there may be bytes outside of ASCII before it.
inline const char* FindStringEnd(const char* at, const char* end, bool& has_high_bytes) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  for (; at < end; at += 16) {
    const __m128i chunk = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i stop =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, backslash)),
                     _mm_cmpeq_epi8(_mm_min_epu8(chunk, last_control), chunk));
    const auto stops = static_cast<unsigned>(_mm_movemask_epi8(stop));
    const auto high = static_cast<unsigned>(_mm_movemask_epi8(chunk));
    has_high_bytes |= (high & (stops - 1)) != 0;  // before the first stop
    if (stops != 0) {
      at += std::countr_zero(stops);
      return at < end ? at : nullptr;
    }
  }
#else
  for (; at < end; ++at) {
    if (*at == '"' || *at == '\\' || static_cast<unsigned char>(*at) < 0x20) return at;
    has_high_bytes |= static_cast<unsigned char>(*at) >= 0x80;
  }
#endif
  return nullptr;
}

// The number that eight digits (0 to 9, not text) write, the first of them in the lowest byte.
inline uint64_t NumberOfEightDigits(uint64_t digits) {
  digits = digits * 10 + (digits >> 8);  // pairs, in every second byte
  constexpr uint64_t kMask = 0x000000ff000000ff;
  return (((digits & kMask) * (100 + (1'000'000ull << 32))) +
          (((digits >> 16) & kMask) * (1 + (10'000ull << 32)))) >>
         32;
}

// Appends the digits that start at `at` to `number`; answers where they end, or, behind 24 of them,
// may stop: more than kDigitsMax mean nothing. Reads less than 32 bytes.
[[gnu::always_inline]] inline const char* AppendDigits(const char* at, uint64_t& number) {
  static constexpr uint64_t kPowersOfTen[] = {1,       10,        100,        1'000,      10'000,
                                              100'000, 1'000'000, 10'000'000, 100'000'000};
  for (int round = 0; round < 3; ++round) {
    const uint64_t digits = LoadUnaligned<uint64_t>(at) ^ 0x3030303030303030;
    // The highest bit of each byte that is above 9. (Bytes behind the first such one may be wrong,
    // by its carry.)
    const uint64_t others = (digits | (digits + 0x7676767676767676)) & 0x8080808080808080;
    if (others != 0) {
      const int count = std::countr_zero(others) / 8;
      if (count == 0) return at;
      const uint64_t with_zeros_in_front = digits << (64 - 8 * count);
      number = number * kPowersOfTen[count] + NumberOfEightDigits(with_zeros_in_front);
      return at + count;
    }
    number = number * kPowersOfTen[8] + NumberOfEightDigits(digits);
    at += 8;
  }
  return at;
}

}  // namespace bettong::ingest
