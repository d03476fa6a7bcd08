// What messages that may come again after a crash are called: (channel, position, target). See
// docs/exactly-once.md.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "grid/catalog.h"
#include "grid/source_ref.h"

namespace bettong::grid {

// Who sends messages that may come again: a partition's outbox (its number and one), or a source.
inline constexpr uint64_t kNoChannel = 0;  // nobody keeps track
inline constexpr uint64_t kSourceChannelBit = uint64_t{1} << 63;

// A source's channel ends with its home, the slot where its state and its letters are written.
uint64_t SourceChannel(std::string_view source, Slot home);
inline uint64_t OutboxChannel(PartitionId partition) { return partition.value() + uint64_t{1}; }

// Where a message comes from: whom its credit goes back to, and, if it may come again, its sender's
// channel and its position there.
struct Origin {
  SourceRef source;
  uint64_t channel = kNoChannel;
  uint64_t position = 0;
  uint64_t low_water = 0;  // the channel will never send what is below again
};

// Whom a message is for, within its position. Of an event for a handler, beside the key: by names,
// which are the same after the app has been loaded anew. A handler of late events has the one of
// the handler in whose place it stands: what was not late may be when it comes again. Functions
// likewise.
uint64_t HandlerTarget(const ClassSchema& entity_class, const HandlerSchema& handler);
uint64_t FunctionTarget(const Catalog& catalog, const FunctionSchema& function);
// A short name of a message for a handler, for whoever needs no more than to know it again: 63
// bits.
uint64_t NameOfMessage(const Origin& origin, uint64_t target);
inline constexpr uint64_t kFunctionTarget = 4;  // a function; with its name
inline constexpr uint64_t kMessageTarget = 3;   // an entity that is sent a message
inline constexpr uint64_t kViewTarget = 1;      // a stream's view
inline constexpr uint64_t kLetterTarget = 2;    // a dead letter about an event; + its handler's

// By channel: above every position that an earlier process knew of, on any partition of the node.
using RecoveredEnds = std::unordered_map<uint64_t, uint64_t>;

}  // namespace bettong::grid
