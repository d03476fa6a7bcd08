#include "protocol/port_sample.h"

#include "protocol/info.h"
#include "protocol/shard_port.h"

namespace bettong::protocol {

PortSample SamplePort(ShardPort& port) {
  const InfoNumbers numbers = CountInfo(port);
  PortSample sample;
  sample.connections = numbers.clients;
  sample.blocked_connections = numbers.blocked_clients;
  sample.connection_bytes = numbers.client_bytes;
  sample.input_bytes = numbers.input_bytes;
  sample.output_bytes = numbers.output_bytes;
  sample.error_replies = numbers.errors;
  const std::vector<uint64_t>& counts = port.commands_by_slot();
  for (size_t slot = 0; slot < counts.size(); ++slot) {
    if (counts[slot] > 0) {
      sample.commands.emplace_back(port.table().At(slot)->spec.name, counts[slot]);
    }
  }
  return sample;
}

}  // namespace bettong::protocol
