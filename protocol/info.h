// The text of INFO.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "grid/command.h"

namespace bettong::protocol {

struct PortNode;
class ShardPort;

// What one shard contributes; the node's is the sum.
struct InfoNumbers {
  uint64_t clients = 0, blocked_clients = 0, pubsub_clients = 0, client_bytes = 0;
  uint64_t commands = 0, errors = 0, input_bytes = 0, output_bytes = 0;
  uint64_t output_limit_disconnections = 0;
  uint64_t channels = 0, patterns = 0;
  uint64_t keys = 0, keys_with_deadline = 0, entities = 0, used_memory_bytes = 0;
  uint64_t expired_keys = 0, keyspace_hits = 0, keyspace_misses = 0;
  uint64_t event_turns = 0, outputs = 0, turns_failed = 0, dead_letters = 0, loans_outstanding = 0;
  uint64_t entity_classes = 0, streams = 0;  // of the node, as each shard knows them

  void Add(const InfoNumbers& other);
};

InfoNumbers CountInfo(ShardPort& port);

// `sections`: names as given to INFO; none: the default ones.
std::string FormatInfo(PortNode& node, const InfoNumbers& numbers, grid::Args sections);

}  // namespace bettong::protocol
