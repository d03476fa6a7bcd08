// Everything a shard can be told, one struct: what it is addressed to and a pointer to the rest.
// Whoever builds a batch owns the memory behind the pointers until Process returns, except where
// noted. Batches are spans of messages; the shard handles them in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/key_hash.h"
#include "grid/catalog.h"
#include "grid/command.h"
#include "grid/event.h"
#include "grid/loan.h"
#include "grid/source_ref.h"

namespace bettong::grid {

// Decoded events on their way to one shard. Heap-allocated by the sender, owned by the receiving
// shard from Process on, given back through Effects::completed when every event in it is done.
struct EventBatch {
  std::string records;  // EventRecords, 8-byte aligned
  struct Item {
    uint32_t record_offset;  // into records
    uint32_t key_offset;     // into keys: the Redis key, prefix included
    uint32_t key_size;
    uint32_t hash;
    Slot slot;
    ClassId entity_class;
    uint16_t handler;  // index into ClassSchema::handlers
    TurnKind kind;     // kEvent, or kKeys (no key: the host computes keys)
    SourceRef source;
  };
  std::vector<Item> items;
  std::string keys;
  int64_t begun_ns = 0;  // steady clock, when the first event was put in; 0: nobody asks
  // The receiving shard's: items not complete; its list of the batches it holds.
  uint32_t outstanding = 0;
  EventBatch* held_before = nullptr;
  EventBatch* held_after = nullptr;

  const EventRecord* record(const Item& item) const {
    return reinterpret_cast<const EventRecord*>(records.data() + item.record_offset);
  }
  std::string_view key(const Item& item) const {
    return std::string_view(keys).substr(item.key_offset, item.key_size);
  }
};

// A change of what is known about event time on a stream.
struct WatermarkNote {
  enum class Kind : uint8_t {
    kHold,     // no watermark before `expected` source partitions have joined
    kAdvance,  // the source partition has seen events up to time_ms; joins it if it is new
    kLeave,    // the source partition is closed or idle
  };
  Kind kind = Kind::kAdvance;
  StreamId stream;
  SourceRef partition;
  TimeMs time_ms = kNoTime;
  uint32_t expected = 0;
};

// An entry for a stream's view (or a dead letter), on its way to the shard that owns the key.
struct ViewEntry {
  StreamId stream;
  std::string json;
  SourceRef origin;
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
  const LoanResults* results = nullptr;
  const WatermarkNote* watermark = nullptr;
  const ViewEntry* view = nullptr;
  // kCommand calling an entity: resolved by the protocol layer.
  ClassId entity_class;
  uint16_t entity_command = 0;
  std::string_view arguments;  // tagged list
};

}  // namespace bettong::grid
