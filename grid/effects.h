// All that a batch of turns produced, for the driver to carry out: replies to send, outputs for
// views, sinks and subscribers, loans for the lane, credits for the sources. What the log gets is
// gathered in the shard: Shard::TakeRecord.
// Reused from batch to batch: Clear keeps the memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/command.h"
#include "grid/loan.h"
#include "grid/message.h"
#include "grid/value.h"

namespace bettong::grid {

struct ReplyRange {
  Ticket ticket;
  uint64_t begin = 0, end = 0;  // in Effects::reply_bytes
  bool when_durable = false;    // leaves when all that came before it is durable
};

// Something emitted into a stream. (partition, sequence) is its id: a receiver that keeps the last
// sequence of each partition can drop repeats.
struct Output {
  StreamId stream;
  PartitionId partition;
  uint64_t sequence = 0;
  SourceRef origin;
  uint64_t begin = 0, end = 0;  // JSON text in Effects::output_bytes
};

// A message for subscribers of a channel (keyspace notifications).
struct Notification {
  uint64_t channel_begin = 0, channel_end = 0, payload_end = 0;  // in Effects::notification_bytes
};

// An event whose keys a function computed, to be routed by those keys.
struct KeyedEvent {
  const EventRecord* record;
  ClassId entity_class;
  uint16_t handler = 0;
  std::string redis_key;
  uint8_t occurrence = 0;
  Origin origin;
};

// An entry that a client added to a declared stream, for the stream's handlers.
struct StreamInput {
  StreamId stream;
  PartitionId partition;
  uint64_t sequence = 0;  // with the outputs of the partition
  StreamEntryId id;
  uint64_t begin = 0, end = 0;  // fields payload (StreamEntryForm::kFields) in output_bytes
};

// A command that waits for everything its shard has recorded to be durable. Answered by the driver,
// "1" when it is and "0" when the deadline has come before.
struct DurableWait {
  Ticket ticket;
  TimeMs deadline_ms = kNeverExpires;
  bool to_the_end = false;  // is answered at the deadline only
};

struct Effects {
  std::string reply_bytes;
  std::vector<ReplyRange> replies;
  std::vector<DurableWait> durable_waits;

  std::string output_bytes;
  std::vector<Output> outputs;
  std::vector<StreamInput> stream_inputs;
  std::vector<KeyedEvent> keyed_events;
  uint64_t keys_done = 0;  // key functions that have run, in the order their events came

  std::string notification_bytes;
  std::vector<Notification> notifications;

  std::vector<Loan> loans;

  std::vector<EventBatch*> completed;  // to delete; their credits are in `credits`
  std::vector<Credit> credits;

  void Clear();
};

}  // namespace bettong::grid
