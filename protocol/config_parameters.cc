#include "protocol/config_parameters.h"

#include <algorithm>

#include "base/byte_size.h"
#include "base/number_text.h"
#include "grid/hash_value.h"
#include "protocol/input_buffer.h"
#include "protocol/notify_letters.h"
#include "protocol/resp_connection.h"
#include "protocol/resp_parser.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

constexpr std::string_view kMaxMemory = "maxmemory";
constexpr std::string_view kMaxMemoryPolicy = "maxmemory-policy";
constexpr std::string_view kNotify = "notify-keyspace-events";
constexpr std::string_view kPassword = "requirepass";
constexpr std::string_view kClientsMax = "maxclients";

// What clients ask for and nobody can change here.
constexpr std::pair<std::string_view, std::string_view> kFixed[] = {
    {"appendfsync", "everysec"},
    {"appendonly", "no"},
    {"cluster-enabled", "no"},
    {"databases", "1"},
    {"hz", "10"},
    {"io-threads", "1"},
    {"latency-monitor-threshold", "0"},
    {"lua-time-limit", "5000"},
    {"save", ""},
    {"slowlog-log-slower-than", "-1"},
    {"slowlog-max-len", "0"},
    {"stream-node-max-entries", "100"},
    {"tcp-keepalive", "300"},
    {"timeout", "0"},
};

bool IsRedisPolicy(std::string_view name) {
  constexpr std::string_view kPolicies[] = {"volatile-lru",   "volatile-lfu", "volatile-random",
                                            "volatile-ttl",   "allkeys-lru",  "allkeys-lfu",
                                            "allkeys-random", "noeviction"};
  return std::any_of(std::begin(kPolicies), std::end(kPolicies),
                     [name](std::string_view policy) { return EqualsIgnoreCase(policy, name); });
}

std::string OutputLimits() {
  return "normal " + std::to_string(kOutputBytesMax) + " 0 0 slave 0 0 0 pubsub " +
         std::to_string(kPubSubOutputBytesMax) + " " + std::to_string(kPubSubOutputBytesSoftMax) +
         " " + std::to_string(kPubSubOutputSoftMs / 1000);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ConfigParameters(const PortNode& node,
                                                                  const NodeSettings& settings) {
  std::vector<std::pair<std::string, std::string>> all(std::begin(kFixed), std::end(kFixed));
  const auto add = [&all](std::string_view name, std::string value) {
    all.emplace_back(name, std::move(value));
  };
  add(kMaxMemory, std::to_string(settings.maxmemory_bytes));
  add(kMaxMemoryPolicy, "noeviction");
  add(kNotify, FormatNotifyLetters(settings.notify_keyspace_events));
  add(kPassword, settings.password);
  add(kClientsMax, std::to_string(settings.clients_max));
  add("client-output-buffer-limit", OutputLimits());
  add("client-query-buffer-limit", std::to_string(kInputBytesMax));
  add("proto-max-bulk-len", std::to_string(kBulkBytesMax));
  add("hash-max-listpack-entries", std::to_string(grid::kPackedHashFieldsMax));
  add("dir", node.services.identity().directory);
  add("port", std::to_string(node.tcp_port));
  std::sort(all.begin(), all.end());
  return all;
}

std::string SetConfigParameter(std::string_view name, std::string_view value, const PortNode& node,
                               NodeSettings& settings) {
  const auto failed = [name](std::string_view why) {
    return "ERR CONFIG SET failed (possibly related to argument '" + std::string(name) + "') - " +
           std::string(why);
  };
  if (EqualsIgnoreCase(name, kMaxMemory)) {
    const auto bytes = ParseByteSize(value);
    if (!bytes) return failed("argument must be a memory value");
    settings.maxmemory_bytes = *bytes;
  } else if (EqualsIgnoreCase(name, kNotify)) {
    if (!ParseNotifyLetters(value)) {
      return failed(value.find('m') != std::string_view::npos
                        ? "Bettong does not tell of missed keys (class 'm')"
                        : "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    }
    settings.notify_keyspace_events = value;
  } else if (EqualsIgnoreCase(name, kPassword)) {
    settings.password = value;
  } else if (EqualsIgnoreCase(name, kClientsMax)) {
    const auto clients = ParseInt(value);
    if (!clients || *clients < 1 || *clients > UINT32_MAX) {
      return failed("argument must be between 1 and 4294967295 inclusive");
    }
    settings.clients_max = static_cast<uint32_t>(*clients);
  } else {
    for (const auto& [known, current] : ConfigParameters(node, settings)) {
      if (!EqualsIgnoreCase(known, name)) continue;
      if (EqualsIgnoreCase(current, value)) return "";
      if (known != kMaxMemoryPolicy) return failed("can't set immutable config");
      return failed(IsRedisPolicy(value) ? "Bettong refuses writes over the limit: noeviction"
                                         : "argument(s) must be one of the following: "
                                           "volatile-lru, volatile-lfu, volatile-random, "
                                           "volatile-ttl, allkeys-lru, allkeys-lfu, "
                                           "allkeys-random, noeviction");
    }
    return "ERR Unknown option or number of arguments for CONFIG SET - '" + std::string(name) + "'";
  }
  return "";
}

}  // namespace bettong::protocol
