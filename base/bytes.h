// Encoding and decoding of small binary records: fixed little-endian numbers, varints and
// length-prefixed byte strings. The reader never reads past its end: after a malformed field
// `ok()` is false and every further read answers zero or empty.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace bettong {

static_assert(std::endian::native == std::endian::little, "formats are written little-endian");

template <typename T>
T LoadUnaligned(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
void StoreUnaligned(char* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

// memcpy for what is mostly short (names, keys): up to 32 bytes without a call.
inline void CopyBytes(char* to, std::string_view bytes) {
  const char* from = bytes.data();
  const size_t size = bytes.size();
  // Two halves, which may overlap.
  const auto copy_as = [&]<typename T>(T) {
    const T first = LoadUnaligned<T>(from);
    const T last = LoadUnaligned<T>(from + size - sizeof(T));
    StoreUnaligned(to, first);
    StoreUnaligned(to + size - sizeof(T), last);
  };
  struct Sixteen {
    uint64_t low, high;
  };
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    copy_as(Sixteen{});
  } else if (size >= 8) {
    copy_as(uint64_t{});
  } else if (size >= 4) {
    copy_as(uint32_t{});
  } else if (size >= 2) {
    copy_as(uint16_t{});
  } else if (size == 1) {
    *to = *from;
  }
}

constexpr uint64_t ZigzagOf(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  template <typename T>
  void Fixed(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    out_.append(raw, sizeof(T));
  }

  void Varint(uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }

  // Small in either direction is short: 0, -1, 1, -2, … are varints 0, 1, 2, 3, …
  void Zigzag(int64_t value) { Varint(ZigzagOf(value)); }

  void Bytes(std::string_view bytes) {
    Varint(bytes.size());
    out_.append(bytes);
  }

  void Raw(std::string_view bytes) { out_.append(bytes); }

 private:
  std::string& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : at_(in.data()), end_(in.data() + in.size()) {}

  template <typename T>
  T Fixed() {
    if (static_cast<size_t>(end_ - at_) < sizeof(T)) return Fail<T>();
    T value = LoadUnaligned<T>(at_);
    at_ += sizeof(T);
    return value;
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return Fail<uint64_t>();
      auto byte = static_cast<unsigned char>(*at_++);
      if (shift == 63 && byte > 1) break;  // more than 64 bits
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Fail<uint64_t>();
  }

  int64_t Zigzag() {
    const uint64_t value = Varint();
    return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }

  std::string_view Raw(size_t size) {
    if (static_cast<size_t>(end_ - at_) < size) return Fail<std::string_view>();
    std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }

  std::string_view Bytes() { return Raw(Varint()); }

  std::string_view rest() const { return {at_, static_cast<size_t>(end_ - at_)}; }
  bool empty() const { return at_ == end_; }
  bool ok() const { return ok_; }

  // For readers of what the bytes mean.
  void SetMalformed() {
    ok_ = false;
    at_ = end_;
  }

 private:
  template <typename T>
  T Fail() {
    SetMalformed();
    return T{};
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace bettong
