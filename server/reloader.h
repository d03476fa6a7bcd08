// Has new code of the apps take over while the node runs (docs/reload.md,
// docs/decisions/0010-hot-reload.md): imports it on the lane, holds the doors, waits until nothing
// is lent, exchanges the code and each shard's catalog, opens the doors. Until the exchange
// whatever goes wrong leaves everything as it was.
//
// Owned by the node, from its start to before its stop; a thread of its own does one reload after
// the other.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "compute/turn_runner.h"
#include "grid/runtime/lane.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/too_old_events.h"
#include "server/config.h"

namespace bettong::server {

// The doors are held no longer than this for turns that are under way.
inline constexpr std::chrono::milliseconds kReloadDrainLimit{10'000};
// The answer waits no longer than this for the disk.
inline constexpr std::chrono::milliseconds kReloadDurableLimit{10'000};
// So many rows are migrated, for a trial, before the doors are held.
inline constexpr size_t kMigrateSampleRows = 1000;
// Converted rows go into one record of the log: of a shard whose values take more than this, none
// are converted.
inline constexpr uint64_t kReloadConvertedBytesMax = 512u << 20;
// The partition of this name's slot has, as an endpoint, what the last reload was.
inline constexpr std::string_view kReloadEndpoint = "node:reload";

struct ReloadParts {
  const NodeConfig& config;
  std::vector<grid::ShardLoop*> shards;
  grid::Lane& lane;
  compute::TurnRunner& runner;  // the lane's
  ingest::TooOldEvents& too_old;
  std::shared_ptr<const grid::Catalog> catalog;
  std::vector<std::string> app_paths;
};

// Runs migrate for the rows, on the host's thread, until one fails.
absl::Status MigrateRows(compute::TurnHost& host, std::span<const grid::RowToMigrate> rows,
                         std::vector<grid::MigratedRow>& migrated);

// What has gone wrong in one line, the last one of a traceback.
std::string ReloadErrorLine(const absl::Status& status);

class Reloader {
 public:
  explicit Reloader(ReloadParts parts);
  ~Reloader();  // Stop()

  // From any thread. No paths: those of the last reload, or of the start. `done` is told on the
  // reloader's thread: why nothing has changed, or that the new code runs.
  void Ask(std::vector<std::string> paths, std::function<void(const absl::Status&)> done);
  // Ends the thread after the reload at hand; the shards and the lane still run.
  void Stop();

  uint64_t reloads() const { return reloads_.load(std::memory_order_relaxed); }
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  struct Job {
    std::vector<std::string> paths;
    std::function<void(const absl::Status&)> done;
  };
  class DurableWait;

  void Run();
  absl::Status Reload(const std::vector<std::string>& paths);
  // Runs `work` on all shards' threads at once, and waits for all.
  void OnAllShards(const std::function<void(grid::ShardLoop&)>& work);
  // Whether the live state can have this catalog.
  absl::Status CheckFit(const grid::Catalog& next);
  // Until nothing is lent or on its way to be.
  absl::Status Drain();
  absl::Status Migrate(const grid::Catalog& next, size_t rows_max,
                       std::vector<std::vector<grid::MigratedRow>>& migrated);
  void Exchange(const std::shared_ptr<const grid::Catalog>& next,
                const std::vector<std::vector<grid::MigratedRow>>& migrated,
                std::string_view paths);
  void WaitUntilDurable();

  const NodeConfig& config_;
  const std::vector<grid::ShardLoop*> shards_;
  grid::Lane& lane_;
  compute::TurnRunner& runner_;
  ingest::TooOldEvents& too_old_;
  std::shared_ptr<const grid::Catalog> catalog_;  // the node's; this thread's
  std::vector<std::string> app_paths_;

  std::atomic<uint64_t> reloads_{0}, failures_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace bettong::server
