// The connection of a bettong-stream sink to its receiver: connects, again and again, and carries
// bytes between the socket and a ReceiverSession for each connection. It keeps no outputs: the
// owner gives them, and after each OnResume gives what the receiver has not stored once more.
//
// Owned by the sink; everything on the thread of `io`. Life: Start, then connecting and conversing
// by turns until Stop, or until the receiver refuses for good. Destroyed once ended(), or when `io`
// runs no more.
#pragma once

#include <absl/status/statusor.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/backoff.h"
#include "ingest/config.h"
#include "ingest/receiver_session.h"
#include "ingest/stream_buffer.h"
#include "ingest/stream_clock.h"
#include "ingest/stream_sink_queue.h"

namespace bettong::ingest {

inline constexpr std::chrono::milliseconds kStreamReconnectFirst{50};
inline constexpr std::chrono::milliseconds kStreamReconnectLongest{2'000};
inline constexpr int64_t kStreamConnectWithinMs = 2'000;  // each address

// What the link tells its sink. May call the link.
class StreamSinkOwner {
 public:
  // A new connection: what the receiver has of each partition. One that was not given out yet: the
  // owner calls Refuse. Nothing that was sent before counts any more.
  virtual void OnResume(std::span<const StreamPosition> positions) = 0;
  // Everything of the partition up to this sequence is stored.
  virtual void OnStored(const StreamPosition& position) = 0;
  // takes_outputs(): after OnResume, and when what was given is written.
  virtual void OnRoom() = 0;
  // Connecting again is no use; the link has ended, or will when the other side knows.
  virtual void OnRefused(const StreamRefusal& refusal) = 0;

 protected:
  ~StreamSinkOwner() = default;
};

struct StreamSinkLinkOptions {
  StreamClock clock = SteadyMs;
  std::chrono::milliseconds tick_every{250};  // looks at the time
};

class StreamSinkLink final : public ReceiverHost, public OutputTaker {
 public:
  // `node_id`: kStreamNodeIdBytes. The config has been checked.
  StreamSinkLink(boost::asio::io_context& io, StreamSinkOwner& owner, const SinkConfig& config,
                 std::string node_id, LogLine log, StreamSinkLinkOptions options = {});
  ~StreamSinkLink();
  StreamSinkLink(const StreamSinkLink&) = delete;
  StreamSinkLink& operator=(const StreamSinkLink&) = delete;

  // Whether the address is one that needs no name service, as the thread must not wait for one.
  static absl::Status Check(const SinkConfig& config);

  void Start();
  // Disconnects at once. ended() follows.
  void Stop();
  bool ended() const { return ended_ && !ticking_; }

  // OutputTaker.
  bool takes_outputs() const override { return session_ != nullptr && session_->takes_outputs(); }
  bool Send(const StreamOutput& output) override;
  // Ends the link unless `code` is kGoing.
  void Refuse(StreamError code, std::string_view text) override;

  // ReceiverHost.
  void OnResume(std::span<const StreamPosition> positions) override;
  void OnStored(const StreamPosition& position) override;
  void OnReceiverError(const StreamRefusal& refusal) override;
  void OnRefused(const StreamRefusal& refusal) override;

 private:
  using Endpoint = boost::asio::ip::tcp::endpoint;

  static absl::StatusOr<std::vector<Endpoint>> Endpoints(const std::string& address);

  boost::asio::awaitable<void> Run();
  // Leaves the socket open, or says why not.
  boost::asio::awaitable<void> Connect();
  // From OFFER to the end of the connection.
  boost::asio::awaitable<void> Converse();
  boost::asio::awaitable<void> Write();
  boost::asio::awaitable<void> Wait(boost::asio::steady_timer& timer);
  void TakeFrames();
  void OfferRoom();
  void Look();
  bool all_written() const { return output_.empty() && sending_.empty(); }
  void TickLater();
  void Tell(std::string trouble);

  boost::asio::io_context& io_;
  StreamSinkOwner& owner_;
  const SinkConfig config_;
  const std::string node_id_;
  const std::string what_;  // for the log
  const LogLine log_;
  const StreamSinkLinkOptions options_;
  const std::vector<Endpoint> endpoints_;
  Backoff backoff_{kStreamReconnectFirst, kStreamReconnectLongest};
  std::string trouble_;  // told last; empty: there is none

  boost::asio::ip::tcp::socket socket_;
  int64_t connect_until_ms_ = 0;  // 0: not connecting
  boost::asio::steady_timer tick_;
  bool ticking_ = false;  // its handler is still to run, if only to see that it was cancelled
  boost::asio::steady_timer wake_;    // cancelled when Run's waiting may be over
  boost::asio::steady_timer writer_;  // ... and Write's
  bool stopped_ = false;
  bool hopeless_ = false;
  bool ended_ = true;

  // Of a connection.
  StreamBuffer buffer_;
  std::string output_;   // said by the session
  std::string sending_;  // on its way to the kernel
  std::unique_ptr<ReceiverSession> session_;
  bool offering_ = false;  // room, to the owner, just now
  bool write_ended_ = true;
};

}  // namespace bettong::ingest
