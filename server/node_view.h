// What the pages of the HTTP port may look at: the node's parts, which the node owns.
#pragma once

#include <vector>

#include "grid/runtime/lane.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/shard_door.h"
#include "ingest/sinks.h"
#include "ingest/tcp_source.h"
#include "protocol/node_services.h"
#include "protocol/resp_server.h"
#include "server/readiness.h"

namespace bettong::server {

struct NodeView {
  const Readiness* readiness = nullptr;
  const protocol::NodeIdentity* identity = nullptr;

  // Set before, and not touched by others until, readiness->shards_run().
  std::vector<grid::ShardLoop*> shards;
  std::vector<ingest::ShardDoor> doors;
  std::vector<const ingest::TcpSource*> sources;
  const grid::Lane* lane = nullptr;  // null: no apps
  const ingest::Sinks* sinks = nullptr;
  const protocol::RespServer* resp = nullptr;  // null: no RESP port
};

}  // namespace bettong::server
