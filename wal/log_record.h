// What a shard gives its log at a time: the sections of one group commit, their entries in the
// order in which they happened, whatever section each is of. To sort them is for whoever has the
// time: the shard writes one buffer from front to back, which is what memory is good at.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "wal/format.h"

namespace bettong::wal {

struct LogRecord {
  struct SectionHead {
    PartitionId partition;
    SectionKind kind = SectionKind::kData;
    uint64_t sequence = 0;
  };
  // Comes before each piece of a section's entries.
  struct PieceHeader {
    uint32_t section = 0;  // index
    uint32_t bytes = 0;
  };

  uint64_t number = 0;  // 1, 2, 3, ... : the shard's own count, of records that it has given
  TimeMs now_ms = 0;
  std::vector<SectionHead> sections;
  std::string pieces;
};

// Puts the pieces of a record's sections together. The memory is used again.
class SectionSorter {
 public:
  // Valid until the next call, and as long as this object.
  std::span<const Section> Sort(const LogRecord& record);

 private:
  std::unique_ptr<char[]> entries_;
  size_t capacity_ = 0;
  std::vector<size_t> ends_;  // by section: of its entries so far
  std::vector<Section> sections_;
};

}  // namespace bettong::wal
