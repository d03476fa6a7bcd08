// Accepted TCP sockets, on their way to the shard that reads them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace bettong::grid {

// A peer that has been silent for so long is asked whether it is there; one that does not answer is
// gone five minutes later.
inline constexpr int kKeepAliveIdleSeconds = 300;
inline constexpr int kKeepAliveIntervalSeconds = 100;
inline constexpr int kKeepAliveProbes = 3;

// Takes over an accepted descriptor: non-blocking, with keepalive. Closed, with `error` set, if
// that fails.
boost::asio::ip::tcp::socket AdoptSocket(boost::asio::io_context& io, int descriptor,
                                         boost::system::error_code& error);

// The peer has closed its side, or is gone. Looks at the socket without reading it.
bool PeerHasClosed(int descriptor);

}  // namespace bettong::grid
