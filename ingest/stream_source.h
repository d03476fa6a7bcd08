// [source.NAME] kind = "bettong-stream": accepts connections on shard 0, hears there which source
// they come from (StreamGreeting), and hands each to the shard that the source's name hashes to,
// where a StreamConnection serves it beside the source's actor.
//
// Built and opened before the shards run, destroyed after they have stopped and before they and the
// actors are destroyed. Start and Stop from any thread.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grid/runtime/shard_loop.h"
#include "ingest/admission_notice.h"
#include "ingest/config.h"
#include "ingest/input_channel.h"
#include "ingest/source_actor.h"
#include "ingest/stream_clock.h"
#include "ingest/stream_connection.h"
#include "ingest/tcp_acceptor.h"

namespace bettong::ingest {

class StreamGreeting;

struct StreamSourceOptions {
  StreamClock clock = SteadyMs;
  std::chrono::milliseconds tick_every{250};  // looks at the time
};

class StreamSource {
 public:
  // `shards` and `actors`: by ShardId. `counters`: those of the actors.
  StreamSource(SourceConfig config, std::vector<grid::ShardLoop*> shards,
               std::vector<SourceActors*> actors, SourceCounters& counters, LogLine log,
               StreamSourceOptions options = {});
  ~StreamSource();
  StreamSource(const StreamSource&) = delete;
  StreamSource& operator=(const StreamSource&) = delete;

  // Binds and listens.
  absl::Status Open() { return acceptor_.Open(config_.listen); }
  const std::string& address() const { return acceptor_.address(); }  // host:port, as bound

  void Start();
  // Accepts and reads no further; what has been read is carried out and acknowledged.
  void Stop();
  // After Stop: whether every connection is closed.
  bool drained() const { return stopped_.load() && counters_.connections_open.load() == 0; }

  const SourceConfig& config() const { return config_; }
  const SourceCounters& counters() const { return counters_; }
  const AdmissionNotice& admission() const { return admission_; }

 private:
  class ConnectionMail;  // a socket, and what was read of it
  struct Part;           // what a shard's thread has of it

  // Shard 0.
  void Greet(int descriptor);
  void HandOver(StreamGreeting& greeting);
  // The shard of the source.
  void Adopt(size_t shard, int descriptor, std::string_view received);
  void StopShard(size_t shard);
  void TickLater(size_t shard);

  const SourceConfig config_;
  const std::vector<grid::ShardLoop*> shards_;
  const std::vector<SourceActors*> actors_;
  const LogLine log_;
  const StreamSourceOptions options_;
  SourceCounters& counters_;
  AdmissionNotice admission_;
  std::atomic<bool> stopped_{false};
  TcpAcceptor acceptor_;                      // shard 0's thread
  bool crowded_ = false;                      // shard 0: the limit of connections was logged
  std::vector<std::unique_ptr<Part>> parts_;  // by ShardId
};

}  // namespace bettong::ingest
