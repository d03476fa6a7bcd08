// What lies in a data directory, as far as it can be read, for tools: also in one that a node is
// writing to, and in one that History refuses. Judges nothing, changes nothing. One thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/format.h"
#include "wal/segment_reader.h"

namespace bettong::wal {

struct SurveyedSegment {
  std::string path;
  SegmentNumber number;  // by its name
  uint64_t size = 0;     // of the file
  std::optional<SegmentHeader> header;
  // What is wrong with it, in words; empty: nothing. With a header it can be read nevertheless.
  std::string fault;
  // Records above are void: a later epoch goes on from here. Of segments that one follows.
  std::optional<Lsn> last_that_counts;
};

struct SurveyedLog {
  ShardId shard;
  std::vector<SurveyedSegment> segments;  // by number
  std::optional<DurableMark> durable;
};

// The logs that have a directory, by shard.
absl::StatusOr<std::vector<SurveyedLog>> SurveyLogs(FileSystem& files,
                                                    const std::string& directory);

struct SegmentEnd {
  Lsn last;             // the last good record; 0: there is none
  uint64_t offset = 0;  // of the first byte that is no good record
  // Why records end here though the next segment begins elsewhere, or the log's end is bad; empty:
  // as it should be.
  std::string fault;
};

// Calls visit for the good records of log.segments[index], which has a header.
absl::StatusOr<SegmentEnd> ReadSegment(FileSystem& files, const SurveyedLog& log, size_t index,
                                       const std::function<void(const Record&)>& visit);

}  // namespace bettong::wal
