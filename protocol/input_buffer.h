// The bytes of a connection that are not consumed yet, in one piece.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace bettong::protocol {

inline constexpr size_t kInputBytesMin = 16 * 1024;
inline constexpr size_t kInputBytesIdleMax = 64 * 1024;  // more is given back when it is empty
// A connection whose unfinished command is longer is cut.
inline constexpr size_t kInputBytesMax = 256u << 20;

class InputBuffer {
 public:
  std::string_view unread() const { return {bytes_.get() + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  void Consume(size_t bytes) { begin_ += bytes; }
  void Clear() { begin_ = end_; }

  // Room for a read: moves the bytes to the front and grows as needed. unread() moves.
  std::span<char> Prepare();
  // So many bytes were read into it.
  void Commit(size_t bytes);

 private:
  void Resize(size_t capacity);

  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
  size_t begin_ = 0, end_ = 0;
  bool filled_ = false;  // the last read took all the room there was
};

}  // namespace bettong::protocol
