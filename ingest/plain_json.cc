#include "ingest/plain_json.h"

#include <simdjson.h>

#include <bit>
#include <cstring>

#include "base/bytes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace bettong::ingest {
namespace {

constexpr int kDigitsMax = 18;  // fits an int64
constexpr uint64_t kExactDoubleMax = 1ull << 53;
constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                   1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

// Whether eight bytes are all digits, and the number they write (little-endian loads).
bool AreEightDigits(uint64_t bytes) {
  return ((bytes & 0xf0f0f0f0f0f0f0f0) |
          (((bytes + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4)) == 0x3333333333333333;
}
uint64_t ParseEightDigits(uint64_t bytes) {
  bytes -= 0x3030303030303030;
  bytes = bytes * 10 + (bytes >> 8);  // pairs, in every second byte
  constexpr uint64_t kMask = 0x000000ff000000ff;
  return (((bytes & kMask) * (100 + (1000000ull << 32))) +
          (((bytes >> 16) & kMask) * (1 + (10000ull << 32)))) >>
         32;
}

bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// The first of '"', '\\' and control characters in [at, end), or null. Reads 15 bytes beyond.
// `has_high_bytes` is set if there may be bytes outside of ASCII before it.
const char* FindStringEnd(const char* at, const char* end, bool& has_high_bytes) {
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
    has_high_bytes |= _mm_movemask_epi8(chunk) != 0;
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

}  // namespace

PlainObject::Step PlainObject::NextName(const PlainName& expected) {
  if (at_ >= end_) return Step::kUnsure;
  SkipSpace();
  if (!started_) {
    if (at_ >= end_ || *at_ != '{') return Step::kUnsure;
    started_ = true;
    ++at_;
    SkipSpace();
    if (at_ < end_ && *at_ == '}') return Step::kUnsure;  // {}: rare, not worth a path
  } else {
    if (at_ >= end_) return Step::kUnsure;
    if (*at_ == '}') {
      if (++at_ < end_) SkipSpace();
      return at_ == end_ ? Step::kEnd : Step::kUnsure;
    }
    if (*at_ != ',') return Step::kUnsure;
    ++at_;
    SkipSpace();
  }
  name_is_expected_ = expected.size != 0 && expected.size < static_cast<size_t>(end_ - at_) &&
                      expected.StartsAt(at_);
  if (name_is_expected_) {
    at_ += expected.size;
  } else if (at_ >= end_ || *at_ != '"' || !ReadString(name_)) {
    return Step::kUnsure;
  }
  SkipSpace();
  if (at_ >= end_ || *at_ != ':') return Step::kUnsure;
  ++at_;
  SkipSpace();
  return at_ < end_ ? Step::kField : Step::kUnsure;
}

bool PlainObject::ReadValue(PlainValue& value) {
  value_begin_ = at_;
  switch (*at_) {
    case '"':
      value.kind = PlainValue::Kind::kText;
      return ReadString(value.text);
    case 't':
      value.kind = PlainValue::Kind::kBool;
      value.boolean = true;
      return ReadWord("true");
    case 'f':
      value.kind = PlainValue::Kind::kBool;
      value.boolean = false;
      return ReadWord("false");
    case 'n':
      value.kind = PlainValue::Kind::kNull;
      return ReadWord("null");
    default:
      return ReadNumber(value);
  }
}

// From the opening quote on.
bool PlainObject::ReadString(std::string_view& text) {
  bool has_high_bytes = false;
  const char* begin = at_ + 1;
  const char* close = FindStringEnd(begin, end_, has_high_bytes);
  if (close == nullptr || *close != '"') return false;
  text = {begin, static_cast<size_t>(close - begin)};
  at_ = close + 1;
  return !has_high_bytes || simdjson::validate_utf8(text);
}

bool PlainObject::ReadWord(std::string_view word) {
  if (static_cast<size_t>(end_ - at_) <= word.size()) return false;
  if (std::memcmp(at_, word.data(), word.size()) != 0) return false;
  at_ += word.size();
  return true;  // what follows must be a comma, a brace or space: NextName looks
}

// At most 18 digits and a point are looked at, which padding covers.
bool PlainObject::ReadNumber(PlainValue& value) {
  const char* at = at_;
  const bool negative = *at == '-';
  at += negative;
  const char* digits_begin = at;
  uint64_t digits = 0;
  if (const auto eight = LoadUnaligned<uint64_t>(at); AreEightDigits(eight)) {
    digits = ParseEightDigits(eight);
    at += 8;
  }
  while (IsDigit(*at)) {
    if (at - digits_begin == kDigitsMax) return false;
    digits = digits * 10 + static_cast<uint64_t>(*at++ - '0');
  }
  if (at == digits_begin || (*digits_begin == '0' && at - digits_begin > 1)) return false;
  if (*at != '.') {
    if (*at == 'e' || *at == 'E' || at >= end_) return false;
    value.kind = PlainValue::Kind::kInt;
    value.integer = negative ? -static_cast<int64_t>(digits) : static_cast<int64_t>(digits);
    at_ = at;
    return true;
  }
  const char* fraction_begin = ++at;
  while (IsDigit(*at)) {
    if (at - digits_begin > kDigitsMax) return false;
    digits = digits * 10 + static_cast<uint64_t>(*at++ - '0');
  }
  if (at == fraction_begin || *at == 'e' || *at == 'E' || at >= end_) return false;
  // Both operands are exact, so the quotient is the nearest double.
  if (digits > kExactDoubleMax) return false;
  value.kind = PlainValue::Kind::kFloat;
  value.real = static_cast<double>(digits) / kPowersOfTen[at - fraction_begin];
  if (negative) value.real = -value.real;
  at_ = at;
  return true;
}

}  // namespace bettong::ingest
