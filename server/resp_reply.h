// A reply of the Redis protocol, version 2, as the command line's client of a node reads it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bettong::server {

// Lists within lists; what Bettong answers has four at most.
inline constexpr int kReplyDepthMax = 16;

struct RespReply {
  enum class Kind : uint8_t { kNull, kText, kError, kInteger, kList };
  Kind kind = Kind::kNull;
  std::string text;  // kText, kError
  int64_t integer = 0;
  std::vector<RespReply> items;

  bool operator==(const RespReply&) const = default;
  // Of a list of names and values, as RESP2 has maps: the value; null if it is not there.
  const RespReply& Find(std::string_view name) const;
};

enum class RespReplyStatus : uint8_t { kWhole, kIncomplete, kBroken };

// Reads the reply at the beginning of `in`; kWhole: it takes `size` bytes.
RespReplyStatus ReadRespReply(std::string_view in, RespReply& reply, size_t& size);

}  // namespace bettong::server
