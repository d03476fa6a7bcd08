// The shard: some partitions, their values, deadlines and queues, as a pure state machine. It opens
// no file or socket, starts no thread and reads no clock; drivers (grid/runtime, the tests, later
// the simulator) feed it batches and carry out the effects.
//
// Owned by one thread. Entries of values never move while their key lives.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "base/ids.h"
#include "base/origin_places.h"
#include "grid/catalog.h"
#include "grid/effects.h"
#include "grid/message.h"
#include "grid/migration.h"
#include "grid/origin.h"
#include "grid/slot_map.h"
#include "wal/log.h"

namespace bettong::grid {

class Watermarks;

struct ShardOptions {
  ShardId id;
  std::shared_ptr<const SlotMap> slot_map;
  std::shared_ptr<const Catalog> catalog;
  bool record_changes = false;   // for TakeRecord
  uint64_t maxmemory_bytes = 0;  // this shard's share; 0: no limit
  uint32_t notify_classes = 0;   // NotifyClass bits
  // In a checkpoint, a value larger than this is written in pieces, so that no step takes long.
  size_t image_piece_bytes = 256u << 10;
  OriginPlaces* origin_places = nullptr;  // null: letters do not tell of origins
};

struct ShardStats {
  uint64_t commands = 0;
  uint64_t events = 0;  // event turns completed, failed ones included
  uint64_t turns_failed = 0;
  uint64_t outputs = 0;
  uint64_t dead_letters = 0;
  uint64_t expired_keys = 0;
  uint64_t loans_outstanding = 0;
  uint64_t loans = 0;            // ever made
  uint64_t retries_pending = 0;  // keys that wait for a turn to be tried again
  uint64_t keyspace_hits = 0;
  uint64_t keyspace_misses = 0;
  uint64_t repeats_dropped = 0;   // messages that had their effect before a crash
  uint64_t deadline_records = 0;  // in the timing wheels, those of keys long gone included
};

// Outputs and inputs that not everyone has, by partition in order of sequence.
struct RecoveredOutbox {
  std::string bytes;
  std::vector<Output> outputs;
  std::vector<StreamInput> inputs;
  std::vector<std::string> unknown_streams;  // of outputs left out: no app declares them any more
};

class Shard {
 public:
  explicit Shard(ShardOptions options);
  // Loans may be outstanding, if nobody works on them any more.
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Handles the messages in order at time `now_ms` (never decreasing), then a bounded slice of what
  // is due. Appends to `effects`. An empty batch just lets time pass.
  void Process(std::span<const Message> batch, TimeMs now_ms, Effects& effects);

  // When to call Process next if nothing arrives: now or earlier while expired values are waiting
  // for their slice, kNeverExpires when there is nothing to wait for.
  TimeMs NextWake() const;

  // --- the log

  // What has been recorded since the last TakeRecord: whether, and how many bytes.
  bool recorded() const;
  size_t recorded_bytes() const;
  // Moves it all into the record; Recycle takes the record's memory back once it is durable.
  void TakeRecord(wal::LogRecord& record);
  void Recycle(wal::LogRecord& record);

  // The state of a source or a sink, at home in the partition of a slot; the last one counts.
  void SetEndpoint(Slot home, std::string_view name, std::string_view state);
  const std::string* FindEndpoint(Slot home, std::string_view name) const;  // nullptr: none
  // Names of endpoints of this shard that begin so.
  std::vector<std::string> EndpointNames(std::string_view prefix) const;
  // Outputs of the partition up to the sequence have reached everyone they are for.
  void Confirm(PartitionId partition, uint64_t sequence);
  uint64_t confirmed(PartitionId partition) const;
  // The last output that the partition has numbered.
  uint64_t last_output(PartitionId partition) const;

  // One round of the rolling checkpoint: BeginRound, WriteImages until it answers true, what is
  // left of the outputs by way of WriteEmitted, EndRound.
  void BeginRound();
  // Writes images of values, about so many bytes; true: all have been written.
  bool WriteImages(size_t bytes);
  // What partitions have emitted and not confirmed; begin and end of each lie in `bytes`.
  void WriteEmitted(std::span<const Output> outputs, std::span<const StreamInput> inputs,
                    std::string_view bytes);
  void EndRound();

  // --- recovery

  // Applies one section as recorded; used by recovery, replicas and migration. `whole`: everything
  // that it builds on has been applied before; otherwise changes without their base are passed
  // over. An error says what does not fit (what stands before it in the section is applied).
  absl::Status Apply(const wal::Section& section, bool whole = true);
  // Behind all sections: whether the app's code can read all that is left of them, with the help of
  // its migrate.
  absl::Status CheckAllRead(const Migrate& migrate = {}) const;
  // After the last section. What is to be sent out again comes in `outbox`; watermarks are in
  // KnownWatermarks(). Time does not go back behind `now_ms`.
  void FinishRecovery(wal::Epoch epoch, TimeMs now_ms, RecoveredOutbox& outbox);
  // Streams' watermarks, as far as known, to be told to all shards: RestoreWatermark.
  std::vector<std::pair<StreamId, TimeMs>> KnownWatermarks() const;
  // For the door, which knows first what a partition has seen.
  const Watermarks& watermarks() const;
  OriginPlaces* origin_places() const;  // the node's; null: there are none
  void RestoreWatermark(StreamId stream, TimeMs watermark_ms);
  // What the partitions of the whole node know, told to each shard.
  void AddRecoveredEnds(RecoveredEnds& ends) const;
  void SetRecoveredEnds(std::shared_ptr<const RecoveredEnds> ends);
  // Whether an earlier process may have handled the event, on any shard.
  bool MayHaveBeenHandled(const Origin& origin) const;
  // Of an event of a channel whose partition is this shard's: whether a letter told of it then.
  bool HasLetter(const Origin& origin);
  // Until `until_ms` entities that came due before now_ms are not expired yet: a backlog of events
  // may refresh them.
  void SpareUntil(TimeMs until_ms);
  // There is no backlog any more: what was spared is due with the next Process.
  void EndSparing();

  // The node is about to stop: turns that are to be tried again are, now, and for the last time,
  // unless their events come again after the next start. From then on none of the others waits.
  void EndRetries();
  // --- another catalog, while values live

  // Timers, closings and expiries wait until it is lifted; whatever else comes is carried out.
  void SetHeld(bool held);
  // Nothing is lent, and no event is on its way through the shard.
  bool quiet() const;
  // Entities whose rows go through migrate on the way to this catalog, in the order that SetCatalog
  // wants what came of them in; at most so many, and none that are lent.
  std::vector<RowToMigrate> RowsToMigrate(const Catalog& next, size_t rows_max) const;
  // Takes another catalog, one that CheckSuccession has found to fit: rows are converted, and
  // logged as they are then. Only while quiet.
  void SetCatalog(const Catalog& next, std::span<const MigratedRow> migrated = {});
  const Catalog& catalog() const;

  // A digest of all values, equal for equal states however they came about.
  uint64_t Digest() const;
  // The same of what the log keeps beside them: marks, low waters, endpoints, numbers of outputs.
  uint64_t LedgerDigest() const;

  const ShardStats& stats() const;
  size_t key_count() const;
  size_t keys_with_deadline() const;
  size_t entity_count() const;
  size_t entity_count(ClassId entity_class) const;
  uint64_t container_bytes(ClassId entity_class) const;  // of its entities, in value_bytes()
  // How late expiries by the wall clock are carried out. Read from any thread.
  const Histogram& expiry_lag_ms() const;
  uint64_t value_bytes() const;        // keys, values and their index
  uint64_t used_memory_bytes() const;  // and what goes with them: deadlines, working rows
  bool over_memory() const;
  void set_notify_classes(uint32_t classes);
  void set_maxmemory_bytes(uint64_t bytes);
  // The log's disk is full: writes are refused, nothing expires.
  void set_read_only(bool read_only);

 private:
  friend class KeyTurn;
  friend class ShardTurn;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::grid
