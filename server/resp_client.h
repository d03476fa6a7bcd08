// A blocking client of a node's RESP port, for the command line.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/host_port.h"
#include "server/resp_reply.h"

namespace bettong::server {

// More bytes than this are no reply to what the command line asks.
inline constexpr size_t kRespReplyBytesMax = 256u << 20;

class RespClient {
 public:
  // Errors say what failed: "connect: Connection refused".
  static absl::StatusOr<std::unique_ptr<RespClient>> Connect(const HostPort& server,
                                                             std::chrono::milliseconds limit);
  ~RespClient();

  using Command = std::vector<std::string>;
  // Sends the commands at once and waits for all their replies, errors among them, for so long.
  absl::StatusOr<std::vector<RespReply>> Ask(const std::vector<Command>& commands,
                                             std::chrono::milliseconds limit);

 private:
  class Impl;
  explicit RespClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::server
