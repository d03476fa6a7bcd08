// A connection of a bettong-stream source until it is known where it belongs: reads its HELLO on
// the shard that accepted it. What was read goes with the socket to the shard of the source's name,
// where a StreamConnection reads it again, from its beginning.
//
// Owned by its StreamSource. Ends when HELLO is complete, when the bytes can be none (the
// StreamConnection says so), when the connection ends, or when it takes too long.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <string>

#include "grid/runtime/shard_loop.h"
#include "ingest/stream_buffer.h"

namespace bettong::ingest {

class StreamGreeting {
 public:
  StreamGreeting(grid::ShardLoop& shard, boost::asio::ip::tcp::socket socket, int64_t now_ms);

  // Reads, then calls `done`, which may destroy it.
  void Start(std::function<void()> done);
  // Gives it up if it is late.
  void Tick(int64_t now_ms);
  void Stop();

  // Once done. Whether there is anything to hand over.
  bool heard() const { return heard_; }
  // Of the source, or of anything if what was said is no HELLO of ours.
  std::string_view source() const { return source_; }
  std::string_view bytes() const { return buffer_.bytes(); }
  int ReleaseSocket();

 private:
  boost::asio::awaitable<void> Run();
  // Whether there is enough to tell.
  bool Hear();

  grid::ShardLoop& shard_;
  boost::asio::ip::tcp::socket socket_;
  const int64_t late_at_ms_;
  StreamBuffer buffer_;
  std::string_view source_;  // in buffer_
  bool heard_ = false;
};

}  // namespace bettong::ingest
