// A shard and the gate that was set on it.
#pragma once

namespace bettong::grid {
class ShardLoop;
}

namespace bettong::ingest {

class Gate;

struct ShardDoor {
  grid::ShardLoop* shard = nullptr;
  Gate* gate = nullptr;
};

}  // namespace bettong::ingest
