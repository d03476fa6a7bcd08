// The entries of a section of the log: docs/log-format.md, "Sections". grid/journal.h writes them,
// Shard::Apply reads them.
#pragma once

#include <cstdint>

namespace bettong::grid {

enum class LogEntryKind : uint8_t {
  kChange = 1,     // bytes key, op, payload of the op (grid/change.h)
  kApplied = 2,    // u64 channel, varint position, u64 target
  kLowWater = 3,   // u64 channel, varint position
  kOutput = 4,     // varint sequence, bytes stream name, bytes JSON
  kConfirmed = 5,  // varint sequence
  kEndpoint = 6,   // bytes name, bytes state
  kWatermark = 7,  // bytes stream name, i64 ms
  kClass = 8,      // bytes name, bytes schema
  kSequences = 9,  // varint last output sequence
  kMore = 10,      // op, payload: a further change of the key of the change before
  kInput = 11,     // varint sequence, bytes stream name, u64 ms, u64 seq, bytes fields payload
  kAppliedMore =
      12,  // varint position, u64 target: a further mark of the channel of the mark before
};

}  // namespace bettong::grid
