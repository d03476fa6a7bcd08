// Cuts a connection's bytes into commands: RESP arrays of bulk strings, and inline commands. Holds
// no bytes itself: the caller keeps everything from the first byte of the command that is not
// complete yet, and calls again when there is more; what was parsed already is not parsed twice.
// One per connection, used on its shard's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/inline_command.h"

namespace bettong::protocol {

inline constexpr size_t kInlineBytesMax = 64 * 1024;
inline constexpr size_t kBulkBytesMax = 64u << 20;
inline constexpr size_t kArgumentsMax = 1024 * 1024;
// Before a client has said its password.
inline constexpr size_t kBulkBytesUnauthenticatedMax = 16 * 1024;
inline constexpr size_t kArgumentsUnauthenticatedMax = 10;

class RespParser {
 public:
  enum class Result : uint8_t {
    kCommand,     // arg_count() >= 1, consumed() bytes belong to it
    kNothing,     // consumed() bytes held no command (an empty line, an empty array)
    kIncomplete,  // needs more bytes
    kError,       // error() says why; the connection is to be closed after the reply
  };

  // `in` starts with the first byte not consumed so far.
  Result Next(std::string_view in);

  size_t consumed() const { return at_; }
  size_t arg_count() const { return args_.size(); }
  // Writes arg_count() views into `in`, which is what Next was given. Those of an inline command
  // are good until the next call of Next.
  void TakeArgs(const char* in, std::string_view* out) const;
  bool is_inline() const { return inline_; }
  // RESP wording without the "-": "ERR Protocol error: ...".
  const std::string& error() const { return error_; }

  void set_authenticated(bool authenticated) { authenticated_ = authenticated; }

 private:
  Result NextInline(std::string_view in);
  Result NextArray(std::string_view in);
  Result Fail(std::string_view why);
  void Reset();

  std::vector<ArgRange> args_;  // from the first byte of the command, or into unquoted_
  size_t at_ = 0;               // parsed up to here, from the first byte of the command
  size_t args_missing_ = 0;
  int64_t bulk_size_ = -1;  // size of the bulk that at_ stands in; -1: at its "$"
  bool in_array_ = false;
  bool done_ = true;  // the last call finished a command
  bool inline_ = false;
  bool authenticated_ = true;
  std::string unquoted_;  // the arguments of an inline command
  std::string error_;
};

}  // namespace bettong::protocol
