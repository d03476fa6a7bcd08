// Everything a shard can be told, one struct: what it is addressed to and a pointer to the rest.
// Whoever builds a batch owns the memory behind the pointers until Process returns, except where
// noted. Batches are spans of messages; the shard handles them in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.h"
#include "base/ids.h"
#include "base/key_hash.h"
#include "grid/catalog.h"
#include "grid/command.h"
#include "grid/event.h"
#include "grid/loan.h"
#include "grid/origin.h"
#include "grid/source_ref.h"

namespace bettong::grid {

// Decoded events on their way to one shard. Heap-allocated by the sender, owned by the receiving
// shard from Process on, given back through Effects::completed when every event in it is done.
struct EventBatch {
  ByteBuffer records;  // EventRecords, 8-byte aligned
  struct Item {
    uint32_t record_offset;  // into records
    uint32_t key_offset;     // into keys: the Redis key, prefix included
    uint32_t key_size : 24;
    TurnKind kind;  // an event turn's; or IsKeyless: without a key
    uint32_t hash;
    Slot slot;
    ClassId entity_class;
    uint16_t handler;        // index into ClassSchema::handlers; kFunction: Catalog::functions
    uint8_t channel = 0;     // index into channels and one; 0: none
    uint8_t occurrence = 0;  // of the event for this handler and key
    bool first = false;      // goes before what waits for the key: a retry
    SourceRef source;
    uint64_t position = 0;  // in the channel
    uint64_t target = 0;    // the receiving shard's: TargetOf, computed once, if there is a log
  };
  static constexpr size_t kChannelsMax = 255;
  struct Channel {
    uint64_t id;
    uint64_t low_water;
  };
  std::vector<Item> items;
  std::vector<Channel> channels;
  ByteBuffer keys;
  int64_t begun_ns = 0;  // steady clock, when the first event was put in; 0: nobody asks
  // The receiving shard's: items not complete; its list of the batches it holds.
  uint32_t outstanding = 0;
  EventBatch* held_before = nullptr;
  EventBatch* held_after = nullptr;

  const EventRecord* record(const Item& item) const {
    return reinterpret_cast<const EventRecord*>(records.data() + item.record_offset);
  }
  Origin origin(const Item& item) const {
    Origin origin{.source = item.source, .position = item.position};
    if (item.channel > 0) {
      origin.channel = channels[item.channel - 1u].id;
      origin.low_water = channels[item.channel - 1u].low_water;
    }
    return origin;
  }
  std::string_view key(const Item& item) const {
    return {keys.data() + item.key_offset, item.key_size};
  }
};

// A change of what is known about event time on a stream.
struct WatermarkNote {
  enum class Kind : uint8_t {
    kHold,     // no watermark before `expected` source partitions have joined
    kAdvance,  // the source partition has seen events up to time_ms; joins it if it is new
    kLeave,    // the source partition is idle, or at its end, having seen events up to time_ms
  };
  Kind kind = Kind::kAdvance;
  StreamId stream;
  SourceRef partition;
  TimeMs time_ms = kNoTime;
  uint32_t expected = 0;
};

// An entry for a stream's view, on its way to the shard that owns the key; or something that the
// surroundings of a shard emit (a dead letter).
struct ViewEntry {
  StreamId stream;
  std::string json;
  Origin origin;
  uint64_t target = 0;  // kEmit: tells letters of one event apart
};

enum class MessageKind : uint8_t {
  kCommand,      // command: one key (key set) or one shard (key empty)
  kEvents,       // events (ownership passes)
  kLoanResults,  // results
  kWatermark,    // watermark
  kViewEntry,    // view
  kForget,       // ticket: a connection is gone; what waits for it is dropped
  kEmit,         // view: something the shard's surroundings emit, like a dead letter
};

struct Message {
  MessageKind kind = MessageKind::kCommand;
  KeyRef key;  // kCommand on one key
  const CommandSpec* command = nullptr;
  Args args;      // kCommand
  Ticket ticket;  // kCommand, kForget
  EventBatch* events = nullptr;
  LoanResults* results = nullptr;
  const WatermarkNote* watermark = nullptr;
  const ViewEntry* view = nullptr;
  // kCommand calling an entity: resolved by the protocol layer.
  ClassId entity_class;
  uint16_t entity_command = 0;
  std::string_view arguments;  // tagged list
};

}  // namespace bettong::grid
