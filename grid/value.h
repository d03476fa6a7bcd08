// The types of values and read access to them. A view borrows: it is good until the turn writes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace bettong::grid {

enum class ValueType : uint8_t { kNone = 0, kString, kHash, kStream, kEntity };

struct StreamEntryId {
  uint64_t ms = 0;
  uint64_t sequence = 0;
  auto operator<=>(const StreamEntryId&) const = default;
};
inline constexpr StreamEntryId kStreamIdMax{UINT64_MAX, UINT64_MAX};

// The id of an entry that comes at `now_ms`, above `last`; `last` must not be kStreamIdMax.
inline StreamEntryId NextEntryId(StreamEntryId last, TimeMs now_ms) {
  const StreamEntryId next{static_cast<uint64_t>(now_ms < 0 ? 0 : now_ms), 0};
  if (next > last) return next;
  return last.sequence < UINT64_MAX ? StreamEntryId{last.ms, last.sequence + 1}
                                    : StreamEntryId{last.ms + 1, 0};
}

// How an entry's payload is kept: as a client's fields (varint n, n * (bytes, bytes)), or as the
// JSON object that a computation emitted, which readers turn into fields.
enum class StreamEntryForm : uint8_t { kFields = 0, kJson = 1 };

struct StreamEntry {
  StreamEntryId id;
  StreamEntryForm form = StreamEntryForm::kFields;
  std::string payload;
};

// A stream's entries in rising order of id.
struct StreamValue {
  std::deque<StreamEntry> entries;
  StreamEntryId last_id;
  StreamEntryId max_deleted_id;
  uint64_t entries_added = 0;
  uint64_t payload_bytes = 0;

  // The first entry with id >= `id`, as a position in `entries`.
  size_t LowerBound(StreamEntryId id) const;
};

}  // namespace bettong::grid
