// Sends what could not be decoded or routed to the dead-letter stream: its view, its sinks and its
// subscribers, as the outputs of computations go. Each letter is a consequence of its origin.
//
// Owned by a shard's gate, on that shard's thread.
#pragma once

#include <vector>

#include "grid/dead_letter.h"
#include "grid/message.h"
#include "grid/runtime/shard_loop.h"
#include "grid/source_ref.h"

namespace bettong::ingest {

class DeadLetters {
 public:
  explicit DeadLetters(grid::ShardLoop& shard) : shard_(shard) {}

  // `target` tells the letters of one event apart.
  void Add(const grid::DeadLetter& letter, const grid::Origin& origin, uint64_t target);
  void Flush();

 private:
  grid::ShardLoop& shard_;
  std::vector<grid::ViewEntry> pending_;
};

}  // namespace bettong::ingest
