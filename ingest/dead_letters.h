// Sends what could not be decoded or routed to the dead-letter stream: its view, its sinks and its
// subscribers, as the outputs of computations go. Each letter is a consequence of its origin.
//
// Owned by a shard's gate, on that shard's thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "grid/message.h"
#include "grid/runtime/shard_loop.h"
#include "grid/source_ref.h"

namespace bettong::ingest {

inline constexpr size_t kDeadLetterEventBytesMax = 64u << 10;  // of the event's text

struct DeadLetter {
  std::string_view about;    // event class, or stream when events have no class
  std::string_view handler;  // "Host.sample", or empty: none was reached
  std::string_view event;    // as it came
  uint64_t event_bytes = 0;  // its size, when `event` is only its head; 0: it is whole
  std::string_view error;
};

class DeadLetters {
 public:
  explicit DeadLetters(grid::ShardLoop& shard) : shard_(shard) {}

  void Add(const DeadLetter& letter, grid::SourceRef origin);
  void Flush();

 private:
  grid::ShardLoop& shard_;
  std::vector<grid::ViewEntry> pending_;
};

std::string DeadLetterJson(const DeadLetter& letter);

}  // namespace bettong::ingest
