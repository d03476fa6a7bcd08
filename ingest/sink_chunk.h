// Outputs of one stream from one batch of one shard, on their way to all sinks that carry the
// stream. Shared by the sinks, read only; the last one deletes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/source_ref.h"

namespace bettong::ingest {

struct SinkChunk {
  struct Item {
    PartitionId partition;
    uint64_t sequence;
    size_t end;  // of the output in `lines`, its line feed included
  };

  StreamId stream;
  std::string lines;  // each output and a line feed
  std::vector<Item> items;
  ShardId from;
  std::vector<grid::Credit> credits;  // for the origins, from each sink once it has the chunk
  std::atomic<size_t> sinks_left{0};

  // The output and its line feed.
  std::string_view line(size_t item) const {
    const size_t begin = item == 0 ? 0 : items[item - 1].end;
    return std::string_view(lines).substr(begin, items[item].end - begin);
  }
};

}  // namespace bettong::ingest
