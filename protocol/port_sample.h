// What the RESP port has done on one shard, as plain numbers, for metrics.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace bettong::protocol {

class ShardPort;

struct PortSample {
  uint64_t connections = 0;
  uint64_t blocked_connections = 0;
  uint64_t connection_bytes = 0;  // memory of the connections
  uint64_t input_bytes = 0, output_bytes = 0;
  uint64_t error_replies = 0;
  // Name, in upper case, and how often; commands that have not been called are left out.
  std::vector<std::pair<std::string_view, uint64_t>> commands;
};

// On the shard's thread.
PortSample SamplePort(ShardPort& port);

}  // namespace bettong::protocol
