// One connection of a TCP source: reads frames, hands them to the shard's gate, and waits when too
// many of its events are on their way. It closes once all consequences of its events are done.
//
// Owned by its TcpSource, on one shard's thread. Life: reading, then (at the client's FIN, a broken
// connection, a frame that cannot be read, or Stop) draining, then done.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "grid/runtime/shard_loop.h"
#include "ingest/admission_notice.h"
#include "ingest/config.h"
#include "ingest/frame_reader.h"
#include "ingest/gate.h"
#include "ingest/input_channel.h"
#include "ingest/line_reader.h"

namespace bettong::ingest {

class TcpConnection final : public grid::SourceControl {
 public:
  TcpConnection(grid::ShardLoop& shard, Gate& gate, const SourceConfig& config, StreamId stream,
                SourceCounters& counters, AdmissionNotice& admission,
                boost::asio::ip::tcp::socket socket, const LogLine& log);
  ~TcpConnection();

  // Runs until it is done, then calls `done`, which may destroy it.
  void Start(std::function<void()> done);
  // Reads no further; what has been read is carried out.
  void Stop();
  // For the source's sweep: no event for `idle_ms`, and none held up here: the channel no longer
  // holds its stream's watermark until its next event.
  void LeaveIfIdle(TimeMs idle_ms);

  void OnCredit() override;

 private:
  boost::asio::awaitable<void> Run();
  boost::asio::awaitable<void> WaitForRoom();
  boost::asio::awaitable<void> WaitForAll();
  // Everything received so far; false: what follows cannot be read.
  bool HandleFrames();
  bool HasRoom(int64_t events_max) const;
  void Close();

  grid::ShardLoop& shard_;
  Gate& gate_;
  const SourceConfig& config_;
  const LogLine& log_;
  AdmissionHold hold_;
  boost::asio::ip::tcp::socket socket_;
  FrameReader frames_;
  const std::unique_ptr<LineReader> lines_;  // null: JSON
  InputChannel channel_;
  boost::asio::steady_timer wake_;  // cancelled when waiting may be over
  int64_t wake_at_ = -1;            // outstanding events that end the waiting; -1: not waiting
  TimeMs active_ms_ = 0;            // wall time of the last event, or of the last wait for room
  bool reading_ = false;
  bool stopped_ = false;
};

}  // namespace bettong::ingest
