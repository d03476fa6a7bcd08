// Where the credit of a message goes back to. Everything that is a consequence of an admitted event
// (its turns, the events it emits, the entries those add to views, sink writes) carries the source
// of the event, and reports to the source's home shard when it is done; a source whose outstanding
// count is zero has no consequence left anywhere in the node.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"

namespace bettong::grid {

// SourceId 0 of every shard stands for what the shard itself starts: commands, timers, expiries.
struct SourceRef {
  ShardId home;
  SourceId source;

  bool operator==(const SourceRef&) const = default;
};

// Above zero: so many new consequences; below: so many are complete. What the node itself has to do
// (turns, entries of views) holds the source back; what sinks have still to write does not, until
// the outbox is full.
struct Credit {
  SourceRef source;
  int32_t delta = 0;   // work
  int32_t writes = 0;  // of sinks
};

// Adds to the entry of the same source if there is one; the lists are short (sources of one batch).
void AddCredit(std::vector<Credit>& credits, SourceRef source, int32_t delta);
void AddWriteCredit(std::vector<Credit>& credits, SourceRef source, int32_t writes);

}  // namespace bettong::grid
