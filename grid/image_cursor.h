// How far a round of the checkpoint has come on a shard. Owned by the shard while it lasts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "grid/value.h"

namespace bettong::grid {

struct ImageCursor {
  uint32_t position = 0;  // in the slab
  bool at_the_end = false;
  size_t awaited = 0;  // images of lent entities with containers, written when they come back

  // A value that is written in pieces.
  bool in_value = false;
  EntryId id;
  std::string key;
  ValueType type = ValueType::kNone;
  uint64_t hash_position = 0;
  StreamEntryId next_entry;

  void Begin(EntryId entry, std::string_view of_key, ValueType of_type) {
    in_value = true;
    id = entry;
    key = of_key;
    type = of_type;
    hash_position = 0;
    next_entry = {};
  }
};

}  // namespace bettong::grid
