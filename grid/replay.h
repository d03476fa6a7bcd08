// What a shard gathers while sections of the log are applied to it, beside the values themselves.
// Gone when recovery is over.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "grid/row_reader.h"
#include "grid/unread_row.h"
#include "grid/value.h"

namespace bettong::grid {

class Replay {
 public:
  struct Pending {  // an output, or an entry that a client added
    std::string stream;
    bool input = false;
    StreamEntryId id;
    std::string payload;
  };
  struct Partition {
    std::vector<std::optional<RowReader>> readers;  // by ClassId; unset: no schema seen yet...
    // ...or one that cannot be read, for this; "" where migrate is to make something of it.
    std::vector<std::optional<std::string>> refusals;
    std::vector<std::shared_ptr<const RowSchema>> written;  // that schema
    // By key. One that is left at the end, and that nothing can be made of, refuses the start.
    std::map<std::string, std::unique_ptr<UnreadRow>, std::less<>> unread;
    std::map<uint64_t, Pending> pending;  // by sequence
  };

  explicit Replay(size_t partition_count) : partitions(partition_count) {}

  std::vector<Partition> partitions;
  std::map<std::string, TimeMs, std::less<>> watermarks;  // by stream
  TimeMs now_ms = 0;                                      // the latest of the sections
};

}  // namespace bettong::grid
