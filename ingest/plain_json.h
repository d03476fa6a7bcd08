// A reader for the JSON that events are mostly made of: one flat object of strings without escapes,
// numbers of up to 18 digits, true, false and null. It takes several times less than a general
// parser, and is strict: what it accepts is valid JSON and means what a general parser would say.
// Whatever it is not sure of (escapes, nesting, exponents, mistakes) it leaves to that parser.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "ingest/plain_scan.h"

namespace bettong::ingest {

// What stands in front of a field's value: from the end of the value before (or the beginning of
// the object) on, with the name, e.g. `, "ts": `. Made to be compared in a few instructions.
class PlainLead {
 public:
  static constexpr size_t kBytesMax = 64;

  PlainLead() = default;
  // Of at most kBytesMax bytes.
  explicit PlainLead(std::string_view text) : size_(text.size()) {
    std::memcpy(bytes_, text.data(), text.size());
    for (size_t i = 0; i < kMasks * 8; ++i) {
      if (i < text.size()) masks_[i / 8] |= 0xffull << i % 8 * 8;
    }
  }

  size_t size() const { return size_; }
  // Whether `at`, of which `left` bytes count and more are readable, starts with it and goes on.
  bool StartsAt(const char* at, size_t left) const {
    if (size_ >= left) return false;
    const uint64_t differs =
        ((LoadUnaligned<uint64_t>(at) ^ LoadUnaligned<uint64_t>(bytes_)) & masks_[0]) |
        ((LoadUnaligned<uint64_t>(at + 8) ^ LoadUnaligned<uint64_t>(bytes_ + 8)) & masks_[1]);
    if (differs != 0) return false;
    constexpr size_t kCompared = kMasks * 8;
    return size_ <= kCompared ||
           std::memcmp(at + kCompared, bytes_ + kCompared, size_ - kCompared) == 0;
  }

 private:
  static constexpr size_t kMasks = 2;
  size_t size_ = SIZE_MAX;  // none: no text starts with it
  uint64_t masks_[kMasks] = {};
  char bytes_[kBytesMax] = {};
};

struct PlainValue {
  enum class Kind : uint8_t { kNull, kBool, kInt, kFloat, kText };
  Kind kind = Kind::kNull;
  bool boolean = false;   // kBool
  int64_t integer = 0;    // kInt
  double real = 0;        // kFloat
  std::string_view text;  // kText: valid UTF-8
};

class PlainObject {
 public:
  enum class Step : uint8_t { kField, kEnd, kUnsure };

  // `json` is readable for kFramePaddingBytes beyond its end.
  explicit PlainObject(std::string_view json) : at_(json.data()), end_(json.data() + json.size()) {}

  // Reads up to the next field's value: kField, or kEnd at the end of a complete document.
  Step NextName() { return EndsHere() ? Step::kEnd : ReadName(); }
  std::string_view name() const { return name_; }
  // What has been read of the object since the last value.
  std::string_view lead() const { return {lead_begin_, static_cast<size_t>(at_ - lead_begin_)}; }
  // The same as NextName for who knows what comes, if it does. Leads that were before the first
  // field and leads that were not are never to be taken for each other.
  bool Skip(const PlainLead& lead) {
    if (!lead.StartsAt(at_, static_cast<size_t>(end_ - at_))) return false;
    at_ += lead.size();
    started_ = true;
    return true;
  }

  // Reads the value behind the name; false: not sure, or, of the last three, that it is none of
  // these, and nothing has been read.
  bool ReadValue(PlainValue& value);
  bool ReadText(std::string_view& text) { return *at_ == '"' && ReadString(text); }
  bool ReadInt(int64_t& value, uint64_t magnitude_max = UINT64_MAX);
  bool ReadFloat(double& value);  // integers, too
  // Where the value starts and ends, as written; good after ReadValue.
  std::string_view value_token() const {
    return {value_begin_, static_cast<size_t>(at_ - value_begin_)};
  }

 private:
  struct Number {
    const char* end;
    bool negative;
    uint64_t digits;
    size_t decimals;  // how many of the digits are behind the point

    int64_t Int() const {
      const auto value = static_cast<int64_t>(digits);
      return negative ? -value : value;
    }
    bool GetFloat(double& value) const;
  };

  bool EndsHere() const { return *at_ == '}' && at_ + 1 == end_ && started_; }
  void SkipSpace() {
    while (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r') {
      if (++at_ >= end_) return;
    }
  }
  static bool IsUtf8(std::string_view text);
  Step ReadName();
  bool ReadString(std::string_view& text);
  static const char* ScanWhole(const char* begin, uint64_t& digits);
  bool ScanNumber(Number& number) const;
  bool EndsNumber(const char* at) const { return (*at | 0x20) != 'e' && at < end_; }
  bool ReadNumber(PlainValue& value);
  bool ReadWord(std::string_view word);

  const char* at_;
  const char* end_;
  const char* lead_begin_ = nullptr;
  const char* value_begin_ = nullptr;
  std::string_view name_;
  bool started_ = false;
};

// From the opening quote on.
inline bool PlainObject::ReadString(std::string_view& text) {
  bool has_high_bytes = false;
  const char* begin = at_ + 1;
  const char* close = FindStringEnd(begin, end_, has_high_bytes);
  if (close == nullptr || *close != '"') return false;
  text = {begin, static_cast<size_t>(close - begin)};
  if (has_high_bytes && !IsUtf8(text)) return false;
  at_ = close + 1;
  return true;
}

// The digits at `begin`, up to a point or the number's end; null: none that JSON has, or too many.
inline const char* PlainObject::ScanWhole(const char* begin, uint64_t& digits) {
  digits = 0;
  const char* end = AppendDigits(begin, digits);
  const auto count = static_cast<size_t>(end - begin);
  return count == 0 || count > kDigitsMax || (*begin == '0' && count > 1) ? nullptr : end;
}

// Behind kDigitsMax digits and the point up to 32 bytes are looked at, which padding covers.
inline bool PlainObject::ScanNumber(Number& number) const {
  number.negative = *at_ == '-';
  const char* begin = at_ + number.negative;
  const char* at = ScanWhole(begin, number.digits);
  if (at == nullptr) return false;
  number.decimals = 0;
  if (*at == '.') {
    const char* fraction = at + 1;
    at = AppendDigits(fraction, number.digits);
    number.decimals = static_cast<size_t>(at - fraction);
    if (number.decimals == 0 || at - begin > kDigitsMax + 1) return false;
  }
  number.end = at;
  return EndsNumber(at);
}

inline bool PlainObject::Number::GetFloat(double& value) const {
  constexpr uint64_t kExactMax = 1ull << 53;
  static constexpr double kPowersOfTen[kDigitsMax + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                          1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                          1e14, 1e15, 1e16, 1e17, 1e18};
  if (decimals == 0) {
    value = static_cast<double>(Int());
    return true;
  }
  // Both operands are exact, so the quotient is the nearest double.
  if (digits > kExactMax) return false;
  value = static_cast<double>(static_cast<int64_t>(digits)) / kPowersOfTen[decimals];
  if (negative) value = -value;
  return true;
}

inline bool PlainObject::ReadInt(int64_t& value, uint64_t magnitude_max) {
  const bool negative = *at_ == '-';
  uint64_t digits;
  const char* end = ScanWhole(at_ + negative, digits);
  if (end == nullptr || *end == '.' || !EndsNumber(end) || digits > magnitude_max) return false;
  value = negative ? -static_cast<int64_t>(digits) : static_cast<int64_t>(digits);
  at_ = end;
  return true;
}

inline bool PlainObject::ReadFloat(double& value) {
  Number number;
  if (!ScanNumber(number) || !number.GetFloat(value)) return false;
  at_ = number.end;
  return true;
}

}  // namespace bettong::ingest
