#include "protocol/info.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"
#include "protocol/version.h"

namespace bettong::protocol {
namespace {

// "name:value" lines under "# Title" heads.
class InfoText {
 public:
  void Section(std::string_view title) {
    if (!text_.empty()) text_ += "\r\n";
    text_ += "# ";
    text_ += title;
    text_ += "\r\n";
  }
  void Line(std::string_view name, std::string_view value) {
    text_ += name;
    text_ += ':';
    text_ += value;
    text_ += "\r\n";
  }
  void Line(std::string_view name, uint64_t value) { Line(name, std::to_string(value)); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// "1.50M", as Redis shows bytes to people.
std::string HumanBytes(uint64_t bytes) {
  constexpr std::string_view kUnits = "BKMGTP";
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return std::to_string(bytes) + "B";
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f%c", value, kUnits[unit]);
  return text;
}

// Pages of this process in memory; /proc is memory, too: this does not wait for a disk.
uint64_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long total = 0, resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

void AddServer(InfoText& info, PortNode& node) {
  const NodeIdentity& identity = node.services.identity();
  const auto uptime = std::max<TimeMs>(node.ports[0]->loop().now_ms() - identity.start_time_ms, 0);
  info.Section("Server");
  info.Line("redis_version", kRedisVersion);
  info.Line("redis_mode", "standalone");
  info.Line("bettong_version", identity.version);
  info.Line("arch_bits", 64);
  info.Line("multiplexing_api", "epoll");
  info.Line("process_id", static_cast<uint64_t>(::getpid()));
  info.Line("run_id", identity.run_id);
  info.Line("tcp_port", node.tcp_port);
  info.Line("server_time_usec", static_cast<uint64_t>(node.ports[0]->loop().now_ms()) * 1000);
  info.Line("uptime_in_seconds", static_cast<uint64_t>(uptime / 1000));
  info.Line("uptime_in_days", static_cast<uint64_t>(uptime / 86'400'000));
  info.Line("executable", identity.executable);
  info.Line("config_file", identity.config_file);
}

void AddClients(InfoText& info, PortNode& node, const InfoNumbers& numbers) {
  info.Section("Clients");
  info.Line("connected_clients", numbers.clients);
  info.Line("cluster_connections", uint64_t{0});
  info.Line("maxclients", node.Settings().clients_max);
  info.Line("blocked_clients", numbers.blocked_clients);
  info.Line("pubsub_clients", numbers.pubsub_clients);
}

void AddMemory(InfoText& info, PortNode& node, const InfoNumbers& numbers) {
  const uint64_t resident = ResidentBytes();
  const uint64_t limit = node.Settings().maxmemory_bytes;
  info.Section("Memory");
  const uint64_t used = numbers.used_memory_bytes + numbers.client_bytes;
  info.Line("used_memory", used);
  info.Line("used_memory_human", HumanBytes(used));
  info.Line("used_memory_rss", resident);
  info.Line("used_memory_rss_human", HumanBytes(resident));
  info.Line("used_memory_dataset", numbers.used_memory_bytes);
  info.Line("mem_clients_normal", numbers.client_bytes);
  info.Line("maxmemory", limit);
  info.Line("maxmemory_human", HumanBytes(limit));
  info.Line("maxmemory_policy", "noeviction");
  info.Line("mem_allocator", "libc");
}

void AddPersistence(InfoText& info) {
  info.Section("Persistence");
  info.Line("loading", uint64_t{0});
  info.Line("rdb_bgsave_in_progress", uint64_t{0});
  info.Line("aof_enabled", uint64_t{0});
}

void AddStats(InfoText& info, PortNode& node, const InfoNumbers& numbers) {
  info.Section("Stats");
  info.Line("total_connections_received", node.connections_received.load());
  info.Line("total_commands_processed", numbers.commands);
  info.Line("total_net_input_bytes", numbers.input_bytes);
  info.Line("total_net_output_bytes", numbers.output_bytes);
  info.Line("rejected_connections", node.connections_rejected.load());
  info.Line("expired_keys", numbers.expired_keys);
  info.Line("evicted_keys", uint64_t{0});
  info.Line("keyspace_hits", numbers.keyspace_hits);
  info.Line("keyspace_misses", numbers.keyspace_misses);
  info.Line("pubsub_channels", numbers.channels);
  info.Line("pubsub_patterns", numbers.patterns);
  info.Line("total_error_replies", numbers.errors);
  info.Line("client_output_buffer_limit_disconnections", numbers.output_limit_disconnections);
}

void AddReplication(InfoText& info, PortNode& node) {
  info.Section("Replication");
  info.Line("role", "master");
  info.Line("connected_slaves", uint64_t{0});
  info.Line("master_replid", node.services.identity().run_id);
  info.Line("master_repl_offset", uint64_t{0});
}

void AddCpu(InfoText& info) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    char text[32];
    std::snprintf(text, sizeof(text), "%ld.%06ld", static_cast<long>(time.tv_sec),
                  static_cast<long>(time.tv_usec));
    return std::string(text);
  };
  info.Section("CPU");
  info.Line("used_cpu_sys", seconds(usage.ru_stime));
  info.Line("used_cpu_user", seconds(usage.ru_utime));
}

void AddKeyspace(InfoText& info, const InfoNumbers& numbers) {
  info.Section("Keyspace");
  if (numbers.keys == 0) return;
  info.Line("db0", "keys=" + std::to_string(numbers.keys) +
                       ",expires=" + std::to_string(numbers.keys_with_deadline) + ",avg_ttl=0");
}

void AddBettong(InfoText& info, PortNode& node, const InfoNumbers& numbers) {
  info.Section("Bettong");
  info.Line("shards", node.ports.size());
  info.Line("entities", numbers.entities);
  info.Line("entity_classes", numbers.entity_classes);
  info.Line("streams", numbers.streams);
  // As in the last line of `bettong run`: events admitted, each once (node_services.h); outputs
  // emitted to streams, dead letters not counted. Turns of events go by handlers and keys.
  info.Line("events", node.services.EventsAdmitted());
  info.Line("event_turns", numbers.event_turns);
  info.Line("outputs", numbers.outputs);
  info.Line("dead_letters", numbers.dead_letters);
  info.Line("turns_failed", numbers.turns_failed);
  info.Line("loans_outstanding", numbers.loans_outstanding);
  for (const auto& [name, value] : node.services.InfoLines()) info.Line(name, value);
}

}  // namespace

void InfoNumbers::Add(const InfoNumbers& other) {
  constexpr size_t kCount = sizeof(InfoNumbers) / sizeof(uint64_t);
  uint64_t sums[kCount], addends[kCount];
  std::memcpy(sums, this, sizeof(sums));
  std::memcpy(addends, &other, sizeof(addends));
  for (size_t i = 0; i < kCount; ++i) sums[i] += addends[i];
  std::memcpy(this, sums, sizeof(sums));
}

InfoNumbers CountInfo(ShardPort& port) {
  InfoNumbers numbers;
  for (const auto& [id, session] : port.sessions()) {
    ++numbers.clients;
    if (session->blocked()) ++numbers.blocked_clients;
    if (session->subscription_count() > 0) ++numbers.pubsub_clients;
    numbers.client_bytes += session->MemoryBytes();
  }
  const PortStats& stats = port.stats();
  numbers.commands = stats.commands;
  numbers.errors = stats.errors;
  numbers.input_bytes = stats.input_bytes;
  numbers.output_bytes = stats.output_bytes;
  numbers.output_limit_disconnections = stats.output_limit_disconnections;
  numbers.channels = port.subscribers().channels().size();
  numbers.patterns = port.subscribers().patterns().size();
  const grid::Shard& shard = port.loop().shard();
  numbers.entity_classes = grid::Declared(shard.catalog().classes).size();
  numbers.streams = grid::Declared(shard.catalog().streams).size();
  numbers.keys = shard.key_count();
  numbers.keys_with_deadline = shard.keys_with_deadline();
  numbers.entities = shard.entity_count();
  numbers.used_memory_bytes = shard.used_memory_bytes();
  const grid::ShardStats& turns = shard.stats();
  const grid::ShardStats& before = port.stats_before();
  numbers.expired_keys = turns.expired_keys - before.expired_keys;
  numbers.keyspace_hits = turns.keyspace_hits - before.keyspace_hits;
  numbers.keyspace_misses = turns.keyspace_misses - before.keyspace_misses;
  numbers.event_turns = turns.events;
  numbers.outputs = turns.outputs - turns.dead_letters;
  numbers.turns_failed = turns.turns_failed;
  numbers.dead_letters = turns.dead_letters;
  numbers.loans_outstanding = turns.loans_outstanding;
  return numbers;
}

std::string FormatInfo(PortNode& node, const InfoNumbers& numbers, grid::Args sections) {
  const auto wanted = [&sections](std::string_view name) {
    return sections.empty() ||
           std::any_of(sections.begin(), sections.end(), [name](std::string_view section) {
             return EqualsIgnoreCase(section, name) || EqualsIgnoreCase(section, "all") ||
                    EqualsIgnoreCase(section, "default") || EqualsIgnoreCase(section, "everything");
           });
  };
  InfoText info;
  if (wanted("server")) AddServer(info, node);
  if (wanted("clients")) AddClients(info, node, numbers);
  if (wanted("memory")) AddMemory(info, node, numbers);
  if (wanted("persistence")) AddPersistence(info);
  if (wanted("stats")) AddStats(info, node, numbers);
  if (wanted("replication")) AddReplication(info, node);
  if (wanted("cpu")) AddCpu(info);
  if (wanted("cluster")) {
    info.Section("Cluster");
    info.Line("cluster_enabled", uint64_t{0});
  }
  if (wanted("keyspace")) AddKeyspace(info, numbers);
  if (wanted("bettong")) AddBettong(info, node, numbers);
  return info.text();
}

}  // namespace bettong::protocol
