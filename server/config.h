// The node's configuration: defaults, then the TOML file, then --set and the options of the command
// line. Every key is one row of a table, so that files, --set and error messages know the same
// keys.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/machine_memory.h"
#include "ingest/config.h"
#include "wal/format.h"

namespace bettong::server {

// When what changes the state is on disk. Acknowledged sources and outputs always wait for that.
enum class Durability : uint8_t {
  kOff,    // never: everything is in memory only
  kAsync,  // a few ms later; replies do not wait
  kSync,   // before the reply
};

struct StreamConfig {
  std::string name;
  Durability durability = Durability::kAsync;  // of what clients add: when the reply leaves
};

struct NodeConfig {
  // [node]
  uint32_t shards = 0;  // 0: one per core
  uint64_t maxmemory_bytes = 0;
  std::string notify_keyspace_events;
  LogFormat log_format = LogFormat::kAuto;
  // [log]
  std::string data_dir = "./bettong-data";
  Durability durability = Durability::kAsync;
  int64_t recovery_grace_ms = 10'000;
  uint64_t segment_bytes = wal::kSegmentBytesDefault;
  // [resp]
  std::string resp_listen = "127.0.0.1:6390";
  bool resp_enabled = true;
  bool resp_protected =
      true;  // `protected_mode`: without a password, only this machine may connect
  std::string password;
  uint32_t clients_max = 10'000;
  // [http]
  std::string http_listen = "127.0.0.1:6391";
  bool http_enabled = true;
  bool http_protected = true;  // `protected_mode`: only this machine may connect
  // [python]
  std::string python_executable;
  int64_t handler_timeout_ms = 1000;
  int64_t handler_hard_limit_ms = 0;                              // 0: ten times the timeout
  int64_t slow_handler_ms = 100;                                  // 0: none is
  uint64_t python_memory_limit_bytes = MachineMemoryBytes() / 2;  // 0: no limit
  // [stream.NAME]
  std::vector<StreamConfig> streams;
  // [source.NAME], [sink.NAME]
  std::vector<ingest::SourceConfig> sources;
  std::vector<ingest::SinkConfig> sinks;

  std::string config_file;
  // Where a named table was first mentioned: "source.metrics" -> "bettong.toml:3: ".
  std::map<std::string, std::string> table_origins;
  // Where a key's value comes from, if it is not the default: "resp.port" -> "bettong.toml:4",
  // "--set", "--resp-port".
  std::map<std::string, std::string> key_origins;

  // Said on the command line only, once: never in a file, where it would be forgotten.
  bool accept_loss = false;
  bool watch_apps = false;
  // Set by `bettong run`: input ends, so nothing is idle; where outputs without a handler go.
  bool bounded_input = false;
  std::string unhandled_output;
};

// Reads a TOML file into `config`. Errors name file:line, what is wrong, and the nearest valid key.
absl::Status LoadConfigFile(const std::string& path, NodeConfig& config);

// Applies one "path=value", as given to --set: "source.metrics.listen=127.0.0.1:9000". `origin`:
// the option that it came with.
absl::Status ApplySetting(std::string_view assignment, NodeConfig& config,
                          std::string_view origin = "--set");

struct ConfigKey {
  std::string table;  // "node", "source.metrics"
  std::string name;
  std::string value;   // as TOML; empty: none, and the file could not say so either
  std::string origin;  // "default", or as in key_origins
};

// Every key, tables in the order of the documentation. Passwords are "***".
std::vector<ConfigKey> ListConfig(const NodeConfig& config);

// The same as a TOML file, origins as comments.
std::string ShowConfig(const NodeConfig& config);

// Sets "format", "precision", "columns" or "delimiter" as the option --KEY says.
absl::Status SetFormatOption(std::string_view key, const std::string& text,
                             ingest::FormatConfig& format);
// Checks that nothing is set that the format has no use for; `where` begins the message.
absl::Status CheckFormat(const ingest::FormatConfig& format, std::string_view where);

// Checks what belongs together: a source needs a stream, a file sink a path.
absl::Status CheckConfig(const NodeConfig& config);

}  // namespace bettong::server
