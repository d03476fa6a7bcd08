// [source.NAME] kind = "tcp": accepts connections on shard 0 and hands them round to the shards,
// where each is read by a TcpConnection. Every connection is a source partition of its stream.
//
// Built and opened before the shards run, destroyed after they have stopped and before they are
// destroyed. Start and Stop from any thread.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "grid/runtime/shard_loop.h"
#include "ingest/admission_notice.h"
#include "ingest/config.h"
#include "ingest/gate.h"
#include "ingest/input_channel.h"
#include "ingest/shard_door.h"

namespace bettong::ingest {

class TcpSource {
 public:
  // `doors`: all shards, by ShardId.
  TcpSource(SourceConfig config, StreamId stream, std::vector<ShardDoor> doors, LogLine log);
  ~TcpSource();
  TcpSource(const TcpSource&) = delete;
  TcpSource& operator=(const TcpSource&) = delete;

  // Binds and listens.
  absl::Status Open();
  const std::string& address() const { return address_; }  // host:port, as bound

  void Start();
  // Accepts and reads no further; what has been read is carried out.
  void Stop();
  // After Stop: whether everything that was read is done.
  bool drained() const { return stopped_.load() && counters_.connections_open.load() == 0; }

  const SourceConfig& config() const { return config_; }
  const SourceCounters& counters() const { return counters_; }
  const AdmissionNotice& admission() const { return admission_; }

 private:
  class ConnectionMail;  // an accepted socket

  boost::asio::awaitable<void> Accept();
  int AcceptAll();
  void Adopt(size_t shard, int descriptor);
  void StopShard(size_t shard);
  // Lets idle connections leave, again and again while there are connections.
  void SweepLater(size_t shard);

  const SourceConfig config_;
  const StreamId stream_;
  const std::vector<ShardDoor> doors_;
  const LogLine log_;
  std::string address_;
  SourceCounters counters_;
  AdmissionNotice admission_;
  std::atomic<bool> stopped_{false};

  // Shard 0's thread.
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  size_t next_shard_ = 0;
  bool crowded_ = false;  // the limit of connections was logged

  struct Part;                                // what a shard's thread has of it
  std::vector<std::unique_ptr<Part>> parts_;  // by ShardId
};

}  // namespace bettong::ingest
