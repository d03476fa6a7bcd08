// One connection of a bettong-stream source, on the shard of the source's name: carries bytes
// between the socket, the SenderSession that knows the protocol, and the SourceActor that knows the
// source.
//
// Owned by its StreamSource, on one shard's thread. Life: reading; then (at the sender's FIN, or
// Stop) waiting until all that was read is acknowledged; or parting, after ERROR; then closed. A
// sender that sends more than the node can take is not read on (StreamWindow, admission), but is
// shown signs of life.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "grid/runtime/shard_loop.h"
#include "ingest/admission_notice.h"
#include "ingest/config.h"
#include "ingest/input_channel.h"
#include "ingest/sender_session.h"
#include "ingest/source_actor.h"
#include "ingest/stream_buffer.h"
#include "ingest/stream_clock.h"
#include "ingest/stream_window.h"

namespace bettong::ingest {

class StreamConnection final : public SenderHost, public SourceLink {
 public:
  StreamConnection(grid::ShardLoop& shard, SourceActors& actors, const SourceConfig& config,
                   SourceCounters& counters, AdmissionNotice& admission,
                   boost::asio::ip::tcp::socket socket, const StreamClock& clock,
                   const LogLine& log);

  // Begins with what was read of it before. Runs until it is closed, then calls `done`, which may
  // destroy it.
  void Start(std::string_view received, std::function<void()> done);
  // Takes nothing further; what has been read is carried out and acknowledged, then the sender is
  // told to connect again.
  void Stop();
  // Several times a second.
  void Tick();

  // SenderHost.
  void OnHello(const StreamHello& hello) override;
  void OnMessage(uint64_t id, std::string_view event) override;
  void OnSenderError(const StreamRefusal& refusal) override;
  void OnRefused(const StreamRefusal& refusal) override;

  // SourceLink.
  void Welcome(uint64_t durable) override;
  void Acknowledge(uint64_t durable) override;
  void Refuse(StreamError code, std::string_view text) override;
  void Close() override;

 private:
  boost::asio::awaitable<void> Read();
  boost::asio::awaitable<void> Write();
  boost::asio::awaitable<void> WaitForRoom();
  // Waits until something has changed.
  boost::asio::awaitable<void> Wait(boost::asio::steady_timer& timer);
  // Everything received so far.
  void TakeFrames();
  // Looks after a change: writes what is to be said, ends what is dead, lets waiting go on.
  void Look();
  void GoWhenAllIsDone();
  bool all_written() const { return output_.empty() && sending_.empty(); }
  void Log(std::string_view what) const;

  grid::ShardLoop& shard_;
  SourceActors& actors_;
  const StreamClock& clock_;
  const LogLine& log_;
  AdmissionHold hold_;
  SourceCounters& counters_;
  std::string name_;  // for the log
  boost::asio::ip::tcp::socket socket_;
  StreamBuffer buffer_;
  std::string output_;   // said by the session
  std::string sending_;  // on its way to the kernel
  SenderSession session_;
  StreamWindow window_;
  SourceActor* actor_ = nullptr;      // from Connect to Disconnect
  boost::asio::steady_timer wake_;    // cancelled when the reader's waiting may be over
  boost::asio::steady_timer writer_;  // ... and the writer's
  bool stopping_ = false;
  bool write_ended_ = false;
};

}  // namespace bettong::ingest
