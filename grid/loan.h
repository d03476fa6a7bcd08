// The contract between a shard and a compute host: the shard lends an entity with a message, the
// host runs the turns and answers with encoded changes and outputs. A batch of loans in, a batch of
// results out, in the same order for one entity. Whether the host runs on a lane's thread or inline
// on the shard's is the caller's business.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/alarms.h"
#include "grid/catalog.h"
#include "grid/event.h"
#include "grid/origin.h"
#include "grid/source_ref.h"

namespace bettong::grid {

// The lane's private copy of a lent entity. Made by the shard at the first loan of an entity that
// has none outstanding, handed back with the last result. Between, only the host touches it.
struct WorkingRow {
  ClassId entity_class;
  bool exists = false;       // false: the entity is created by the first turn that succeeds
  bool has_own_ttl = false;  // self.ttl was assigned: ttl_ms counts, not the class's
  // The lane's: a turn of it is to be tried again, and what was lent behind that goes back.
  bool stalled = false;
  uint32_t prefix_bytes = 0;    // of redis_key, colon included
  std::string_view redis_key;   // with prefix; lies in the entry, which stays while it is lent
  std::unique_ptr<char[]> row;  // RowSchema::row_bytes(), a copy, initialised iff exists
  int64_t ttl_ms = 0;
  TimeMs deadline_ms = kNeverExpires;  // wall or event time, by the class's clock
  // The lane's: where in the loans at hand the entity comes next, as of that look at them.
  uint32_t next_loan = 0;
  uint32_t looked_at = 0;

  std::string_view key() const { return redis_key.substr(prefix_bytes); }
};
static_assert(sizeof(WorkingRow) <= 64);  // a line of memory that goes from core to core

struct Loan {
  TurnKind kind = TurnKind::kEvent;
  ClassId entity_class;
  uint8_t alarm = 0;          // kDue: the generation of the alarm that rang
  bool last_try = false;      // should it fail it is not to be tried again
  uint16_t retries = 0;       // how often the turn has been tried again before
  uint16_t index = 0;         // kEvent, kKeys: handler; kCall: command; kFunction: function
  PartitionId partition;      // kFunction: where its turn is logged
  EntryId entry;              // the shard's business; meaningless without a row
  WorkingRow* row = nullptr;  // null where there is no key: IsKeyless
  const EventRecord* event = nullptr;  // kEvent, kMessage, kKeys, kFunction
  std::string_view arguments;          // kCall: a tagged list of texts/bytes
  TimeMs now_ms = 0;                   // the turn's wall time
  TimeMs watermark_ms = kNoTime;       // of the class, if it uses that
  TimeMs reached_ms = kNoTime;         // the same, with what the event at hand has brought along
  TimeMs spared_ms = kNoTime;          // a wall-clock deadline up to here is not due yet
  SourceRef origin;                    // goes onto every output
  void* token = nullptr;               // with `item`: the shard's message behind this loan
  uint32_t item = 0;
  uint64_t name = 0;  // of the message (NameOfMessage), if it may come again after a crash
};

// Where the event of a shard's loan comes from, while the loan is out. From any thread.
Origin OriginOf(const Loan& loan);

// Changes to the lent entity, in order, as (op, payload) pairs; see grid/change.h.
// Outputs in order of emission.
struct LoanOutput {
  StreamId stream;
  uint64_t begin = 0, end = 0;  // JSON text in LoanResults::bytes
};

// What has become of a loan.
enum class LoanOutcome : uint8_t {
  kDone,
  kRetry,     // its turn has failed and is to be tried again after retry_after_ms
  kReturned,  // it has not run: an earlier turn of the entity is to be tried again first
};

struct LoanResult {
  TurnKind kind = TurnKind::kEvent;
  LoanOutcome outcome = LoanOutcome::kDone;
  uint16_t retries = 0;  // kRetry: the loan's
  EntryId entry;
  void* token = nullptr;
  uint32_t item = 0;
  uint64_t changes_begin = 0, changes_end = 0;        // ranges in LoanResults::bytes
  uint64_t reply_begin = 0, reply_end = 0;            // kCall: a tagged value; kKeys: a tagged list
  uint64_t outputs_begin = 0, outputs_end = 0;        // range in LoanResults::outputs
  uint32_t containers_begin = 0, containers_end = 0;  // range in LoanResults::containers
  int64_t container_bytes = 0;                        // by which containers have grown
  uint32_t alarms_begin = 0, alarms_end = 0;          // range in LoanResults::alarms
  uint32_t failed_turns = 0;                          // of any policy, for the statistics
  uint32_t retry_after_ms = 0;                        // kRetry
};

struct LoanResults {
  std::string bytes;
  std::vector<LoanOutput> outputs;
  std::vector<LoanResult> results;
  std::vector<std::unique_ptr<Container>> containers;  // of entities created
  std::vector<AlarmRequest> alarms;                    // to be set

  void Clear() {
    bytes.clear(), outputs.clear(), results.clear(), containers.clear(), alarms.clear();
  }
};

}  // namespace bettong::grid
