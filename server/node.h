// One node, put together: apps, shards, lane, sources, sinks, the RESP port. The one place that
// builds and wires everything. Several nodes may live in a process (with one Python among them).
//
// Life: Make loads the apps; Open binds ports and files, the HTTP port first, which answers from
// then on; Start runs the shards' threads; Stop drains and ends them.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file_system.h"
#include "base/mapped_file.h"
#include "base/origin_places.h"
#include "base/slow_log.h"
#include "compute/turn_counters.h"
#include "compute/turn_host.h"
#include "compute/turn_in_hand.h"
#include "grid/runtime/lane.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/kafka/kafka_source.h"
#include "ingest/sinks.h"
#include "ingest/stream_actors.h"
#include "ingest/stream_source.h"
#include "ingest/tcp_source.h"
#include "ingest/too_old_events.h"
#include "protocol/node_services.h"
#include "protocol/resp_server.h"
#include "server/app_watch.h"
#include "server/config.h"
#include "server/http_pages.h"
#include "server/http_server.h"
#include "server/node_view.h"
#include "server/readiness.h"
#include "server/reloader.h"
#include "wal/commit_thread.h"
#include "wal/data_directory.h"
#include "wal/rounds.h"

namespace bettong::server {

// Shutdown waits so long for loans and outputs before it abandons them.
inline constexpr std::chrono::milliseconds kDrainLimit{3000};
// And so long if the log's disk is full.
inline constexpr std::chrono::milliseconds kDrainFullLimit{1000};
// Sources have caught up when they are found so at so many looks in a row: whoever has a backlog
// has something on its way all the time.
inline constexpr std::chrono::milliseconds kGraceLookEvery{50};
inline constexpr int kGraceLooks = 10;

// What the last line of `run` tells, and INFO.
struct NodeTotals {
  uint64_t events = 0;   // admitted, decoded or dead-lettered, each once
  uint64_t outputs = 0;  // emitted to streams, dead letters not counted
  uint64_t dead_letters = 0;
  uint64_t entities = 0;
};

// A bettong-stream source, with what each shard knows of its senders.
struct StreamInput {
  ingest::SourceCounters counters;
  std::vector<std::unique_ptr<ingest::StreamActors>> actors;  // by shard
  std::unique_ptr<ingest::StreamSource> source;
};

// Makes a host of C++ code, and declares in the catalog what it has; on the lane's thread.
using NativeApp =
    std::function<std::unique_ptr<compute::TurnHost>(std::shared_ptr<grid::Catalog> catalog)>;

class Node final : public protocol::NodeServices {
 public:
  // On failure the message is for the user; of an app that does not import it is the traceback, and
  // the code is kFailedPrecondition.
  // `native`: instead of apps.
  static absl::StatusOr<std::unique_ptr<Node>> Make(NodeConfig config,
                                                    std::vector<std::string> app_paths,
                                                    const NativeApp& native = {});
  ~Node() override;

  const grid::Catalog& catalog() const { return *catalog_; }  // as it was at the start
  grid::ShardLoop& shard(size_t index) { return *shards_[index]; }
  size_t shard_count() const { return shards_.size(); }
  ingest::ShardDoor door(size_t shard) { return doors_[shard]; }

  // Opens everything, and brings back what the data directory holds.
  absl::Status Open();
  void Start();
  // Waits until nothing is on its way anywhere in the node, or `limit` is over (false), or
  // `give_up`, looked at in between, says so (false).
  bool WaitUntilIdle(std::chrono::milliseconds limit, const std::function<bool()>& give_up = {});
  // The last event is done: what computations fed no longer holds watermarks, and what is due runs.
  void EndBoundedInput(const std::function<bool()>& give_up);
  // A sink will never write again: what it was given stays on its way for ever.
  bool output_broken() const { return sinks_->broken(); }
  // Stops admission, drains for so long, flushes the sinks, closes connections, ends the threads.
  void Stop(std::chrono::milliseconds drain_limit = kDrainLimit);

  // What /readyz says; for whoever opens or recovers the node's parts.
  Readiness& readiness() { return readiness_; }

  // "ready resp=127.0.0.1:6390 source.metrics=127.0.0.1:9000 http=127.0.0.1:6391"
  std::string ReadyLine() const;
  NodeTotals Totals();
  // Runs `work` on every shard's thread, one after the other, and waits.
  void OnEveryShard(const std::function<void(grid::ShardLoop&)>& work);
  // Called, once, when a client asks for SHUTDOWN.
  void OnShutdownRequest(std::function<void()> handler) { shutdown_handler_ = std::move(handler); }

  // protocol::NodeServices
  const protocol::NodeIdentity& identity() const override { return identity_; }
  protocol::NodeSettings initial_settings() const override;
  void RequestShutdown() override;
  void RequestReload(std::vector<std::string> paths,
                     std::function<void(std::string error)> done) override;
  SlowLog& slow_log() override { return slow_log_; }
  uint64_t EventsAdmitted() override;
  std::vector<std::pair<std::string, std::string>> InfoLines() override;

 private:
  explicit Node(NodeConfig config);
  absl::Status LoadApps(std::vector<std::string> app_paths, const NativeApp& native);
  absl::Status OpenHttp();
  absl::Status OpenParts();
  void AddOutputSink();
  void SetView();
  absl::Status OpenDataDirectory();
  // Takes note of what an earlier process died of.
  absl::Status OpenTurnInHand();
  // Brings the shards back to where the log ends, and has them write on.
  absl::Status Recover();
  absl::Status OpenSource(const ingest::SourceConfig& config);
  std::string NodeId() const;
  // Ends the time of grace when no sender has a backlog any more; a thread of its own meanwhile.
  void WatchGrace();
  void NoteDiskFull(bool full);  // of one shard's log; on its thread

  NodeConfig config_;
  protocol::NodeIdentity identity_;
  Readiness readiness_;
  NodeView view_;
  // Before the shards, to be destroyed after them: their mail may hold answers to the pages.
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpPages> pages_;
  std::shared_ptr<const grid::Catalog> catalog_;
  OriginPlaces origin_places_;
  // What the lane is at; with a data directory in a file of it.
  std::unique_ptr<MappedFile> in_hand_file_;
  compute::TurnInHand in_hand_;
  std::vector<std::string> app_paths_;
  compute::TurnCounters turn_counters_;
  SlowLog slow_log_;
  std::unique_ptr<grid::Lane> lane_;
  compute::TurnRunner* runner_ = nullptr;  // the lane's
  std::unique_ptr<ingest::Sinks> sinks_;
  std::unique_ptr<FileSystem> files_;  // with a data directory, like the next three
  std::unique_ptr<wal::DataDirectory> directory_;
  std::unique_ptr<wal::Rounds> rounds_;
  std::vector<std::unique_ptr<wal::CommitThread>> logs_;  // by shard
  std::unique_ptr<ingest::TooOldEvents> too_old_;
  std::vector<std::unique_ptr<grid::ShardLoop>> shards_;
  std::vector<ingest::ShardDoor> doors_;
  std::unique_ptr<protocol::RespServer> resp_;
  std::vector<std::unique_ptr<ingest::TcpSource>> sources_;
  std::vector<std::unique_ptr<StreamInput>> stream_inputs_;
  std::vector<std::unique_ptr<ingest::KafkaSource>> kafka_sources_;
  std::vector<std::thread> threads_;
  std::atomic<int> disks_full_{0};
  bool grace_ = false;  // after this start
  std::thread grace_watch_;
  std::unique_ptr<Reloader> reloader_;  // with apps, from Start on
  std::unique_ptr<AppWatch> watch_;
  std::atomic<bool> stopping_{false};
  std::function<void()> shutdown_handler_;
  std::atomic<bool> shutdown_requested_{false};
};

}  // namespace bettong::server
