// Changes: what a turn did to a value, as deterministic operations on one key. One encoding serves
// the compute host's answer, the log, replicas and migration. Shard::Apply runs them; no user code.
// A turn's changes of one key follow each other with kMore (grid/log_entry.h) between them.
//
//   op u8, then the payload:
//   kEntityCreate   varint size, RowSchema::EncodeRow   the class is known from the key's prefix
//   kEntityDelta    varint size, RowSchema delta
//   kEntityExpire   -                     the entity is gone because its deadline passed
//   kDelete         -
//   kDeadline       i64 ms                kNeverExpires: none
//   kOwnTtl         i64 ms                the entity's own TTL from now on
//   kPutString      varint bytes
//   kHashSet        varint n, n * (field bytes, value bytes)   of the hash that is there
//   kHashDelete     varint n, n * field bytes                  the hash goes with its last field
//   kStreamAppend   u64 ms, u64 seq, u8 StreamEntryForm, bytes
//   kStreamTrim     u64 ms, u64 seq       entries below this id are gone
//   kStreamDelete   varint n, n * (u64 ms, u64 seq)   these entries are gone; some may not be there
//
// For a value's image, in a checkpoint:
//
//   kNew            u8 ValueType          an empty hash or stream in the place of what was there
//   kHashPiece      as kHashSet           further fields of a large hash
//   kStreamPiece    varint n, n * (u64 ms, u64 seq, u8 form, bytes): entries among those there
//   kStreamMarks    4 * u64 (last id, highest deleted id), u64 entries ever added
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "grid/log_entry.h"

namespace bettong::grid {

enum class ChangeOp : uint8_t {
  kEntityCreate = 1,
  kEntityDelta = 2,
  kEntityExpire = 3,
  kDelete = 4,
  kDeadline = 5,
  kOwnTtl = 6,
  kPutString = 7,
  kHashSet = 8,
  kHashDelete = 9,
  kStreamAppend = 10,
  kStreamTrim = 11,
  kNew = 12,
  kHashPiece = 13,
  kStreamPiece = 14,
  kStreamMarks = 15,
  kStreamDelete = 16,
};

// Begins a change among those of a turn to its entity, `changes`; its payload comes next.
inline ByteWriter BeginChange(std::string& changes, ChangeOp op) {
  ByteWriter bytes(changes);
  if (!changes.empty()) bytes.Fixed(LogEntryKind::kMore);
  bytes.Fixed(op);
  return bytes;
}

}  // namespace bettong::grid
