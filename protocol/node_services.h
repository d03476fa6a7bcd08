// What the port needs of the node around it; implemented by server/. Called on shards' threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/slow_log.h"

namespace bettong::protocol {

// Facts that do not change while the node runs.
struct NodeIdentity {
  std::string run_id;       // 40 hex digits
  std::string version;      // Bettong's
  std::string executable;   // path
  std::string config_file;  // path, empty without one
  std::string directory;    // working directory
  TimeMs start_time_ms = 0;
};

// Parameters that CONFIG SET can change; these are their values at start.
struct NodeSettings {
  uint64_t maxmemory_bytes = 0;        // of the node; 0: no limit
  std::string notify_keyspace_events;  // Redis's letters
  std::string password;                // requirepass
  uint32_t clients_max = 10'000;
};

class NodeServices {
 public:
  virtual ~NodeServices() = default;

  virtual const NodeIdentity& identity() const = 0;
  virtual NodeSettings initial_settings() const = 0;
  // Starts an orderly shutdown and returns at once.
  virtual void RequestShutdown() = 0;
  // Loads the app's files again, or those named, and has the new code take over; returns at once.
  // `done` is told, on any thread, why nothing has changed; nothing: the new code runs.
  virtual void RequestReload(std::vector<std::string> paths,
                             std::function<void(std::string error)> done) {
    static_cast<void>(paths);
    done("this node runs no app");
  }
  // Turns of the app that took too long.
  virtual SlowLog& slow_log() = 0;
  // For INFO: events admitted to the node, what sources read and clients added. Each counts once,
  // decoded or dead-lettered, however many handlers and keys it has.
  virtual uint64_t EventsAdmitted() { return 0; }
  // Lines for INFO's "# Bettong" section beyond what the port knows: name and value.
  virtual std::vector<std::pair<std::string, std::string>> InfoLines() { return {}; }
};

}  // namespace bettong::protocol
