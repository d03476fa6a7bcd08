// A reader for the JSON that events are mostly made of: one flat object of strings without escapes,
// numbers of up to 18 digits, true, false and null. It takes several times less than a general
// parser, and is strict: what it accepts is valid JSON and means what a general parser would say.
// Whatever it is not sure of (escapes, nesting, exponents, mistakes) it leaves to that parser.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace bettong::ingest {

// A field's name as it stands in JSON, with its quotes, made to be compared in a few instructions.
struct PlainName {
  static constexpr size_t kBytesMax = 32;
  char quoted[kBytesMax] = {};  // zeros behind it
  uint32_t size = 0;            // 0: none, or one that is too long

  // `at` is readable for kBytesMax bytes.
  bool StartsAt(const char* at) const {
    for (size_t i = 0; i < size; i += 8) {
      const size_t left = size - i;
      const uint64_t mask = left >= 8 ? ~0ull : (1ull << left * 8) - 1;
      if (((LoadUnaligned<uint64_t>(at + i) ^ LoadUnaligned<uint64_t>(quoted + i)) & mask) != 0) {
        return false;
      }
    }
    return true;
  }
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

  // Reads up to the next field's name: kField, or kEnd at the end of a complete document. A name
  // that is the expected one is found faster.
  Step NextName(const PlainName& expected);
  bool name_is_expected() const { return name_is_expected_; }
  std::string_view name() const { return name_; }  // unless it is the expected one

  // Reads the value behind the name; false: not sure.
  bool ReadValue(PlainValue& value);
  // Where the value starts and ends, as written; good after ReadValue.
  std::string_view value_token() const {
    return {value_begin_, static_cast<size_t>(at_ - value_begin_)};
  }

 private:
  void SkipSpace() {
    while (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r') {
      if (++at_ >= end_) return;
    }
  }
  bool ReadString(std::string_view& text);
  bool ReadNumber(PlainValue& value);
  bool ReadWord(std::string_view word);

  const char* at_;
  const char* end_;
  const char* value_begin_ = nullptr;
  std::string_view name_;
  bool name_is_expected_ = false;
  bool started_ = false;
};

}  // namespace bettong::ingest
