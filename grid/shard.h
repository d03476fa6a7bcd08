// The shard: some partitions, their values, deadlines and queues, as a pure state machine. It opens
// no file or socket, starts no thread and reads no clock; drivers (grid/runtime, the tests, later
// the simulator) feed it batches and carry out the effects.
//
// Owned by one thread. Entries of values never move while their key lives.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/histogram.h"
#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/effects.h"
#include "grid/message.h"
#include "grid/slot_map.h"

namespace bettong::grid {

struct ShardOptions {
  ShardId id;
  std::shared_ptr<const SlotMap> slot_map;
  std::shared_ptr<const Catalog> catalog;
  bool record_changes = false;   // fill Effects::sections
  uint64_t maxmemory_bytes = 0;  // this shard's share; 0: no limit
  uint32_t notify_classes = 0;   // NotifyClass bits
};

struct ShardStats {
  uint64_t commands = 0;
  uint64_t events = 0;  // event turns completed, failed ones included
  uint64_t turns_failed = 0;
  uint64_t outputs = 0;
  uint64_t dead_letters = 0;
  uint64_t expired_keys = 0;
  uint64_t loans_outstanding = 0;
  uint64_t keyspace_hits = 0;
  uint64_t keyspace_misses = 0;
  uint64_t deadline_records = 0;  // in the timing wheels, those of keys long gone included
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

  // Applies one section's changes as recorded; used by recovery, replicas and migration.
  // False: the bytes are malformed (the changes before stand).
  bool Apply(const ChangeSection& section);

  // A digest of all values, equal for equal states however they came about.
  uint64_t Digest() const;

  const ShardStats& stats() const;
  size_t key_count() const;
  size_t keys_with_deadline() const;
  size_t entity_count() const;
  size_t entity_count(ClassId entity_class) const;
  // How late expiries by the wall clock are carried out. Read from any thread.
  const Histogram& expiry_lag_ms() const;
  uint64_t value_bytes() const;        // keys, values and their index
  uint64_t used_memory_bytes() const;  // and what goes with them: deadlines, working rows
  bool over_memory() const;
  void set_notify_classes(uint32_t classes);
  void set_maxmemory_bytes(uint64_t bytes);

 private:
  friend class KeyTurn;
  friend class ShardTurn;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::grid
