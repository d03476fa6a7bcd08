// The pages of the HTTP port: /healthz, /readyz and /metrics. Everything on the port's thread,
// which they never block: shards are asked by mail, and what is late is left out.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <string>

#include "server/http_server.h"
#include "server/node_metrics.h"
#include "server/node_view.h"
#include "server/shard_poll.h"

namespace bettong::server {

// A shard whose thread has not answered after so long is not healthy, and a scrape does without it.
inline constexpr std::chrono::milliseconds kShardAnswerLimit{2000};

class HttpPages {
 public:
  // `io`: the port's.
  HttpPages(const NodeView& node, boost::asio::io_context& io,
            std::chrono::milliseconds limit = kShardAnswerLimit)
      : node_(node), limit_(limit), health_(io), scrape_(io) {}

  void Answer(const std::string& path, HttpReply reply);

 private:
  void Health(HttpReply reply);
  void Ready(const HttpReply& reply);
  void Metrics(HttpReply reply);

  const NodeView& node_;
  const std::chrono::milliseconds limit_;
  ShardPoll<bool> health_;
  ShardPoll<ShardSample> scrape_;
};

}  // namespace bettong::server
