// Event time on a shard: for every stream the watermark, from what its source partitions report,
// and for every event-clock class the least of the streams it handles. Owned by the shard.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/message.h"

namespace bettong::grid {

// A stream's watermark but for one partition.
struct WatermarkBeside {
  TimeMs others_ms = kNeverExpires;  // the least that the other active partitions have seen
  TimeMs floor_ms = kNoTime;         // the watermark as it is: it does not go back
  bool held = false;                 // partitions that are waited for have not joined

  // What the watermark would be if the partition had seen events up to then.
  TimeMs With(TimeMs seen_ms) const {
    return held ? floor_ms : std::max(floor_ms, std::min(others_ms, seen_ms));
  }
};

class Watermarks {
 public:
  explicit Watermarks(const Catalog& catalog)
      : catalog_(catalog), streams_(catalog.streams.size()) {}

  // Answers whether the stream's watermark moved. It never goes back.
  bool Apply(const WatermarkNote& note);

  // The catalog has been exchanged, for one that has at least the same streams.
  void OnCatalogChanged() {
    streams_.resize(catalog_.streams.size());
    ++version_;
  }

  // As recorded by an earlier process.
  void Restore(StreamId stream, TimeMs watermark_ms) {
    Stream& at = streams_[stream.value()];
    at.watermark = std::max(at.watermark, watermark_ms);
    at.highest = std::max(at.highest, watermark_ms);
    ++version_;
  }

  TimeMs OfStream(StreamId stream) const { return streams_[stream.value()].watermark; }
  // kNoTime until every stream that the class handles, and whose events carry a time, has one.
  TimeMs OfClass(const ClassSchema& entity_class) const;
  // With what an event of one of them has brought along, which the stream itself may not know yet.
  TimeMs OfClass(const ClassSchema& entity_class, StreamId stream, TimeMs watermark_ms) const;
  // What there is of the stream beside one of its partitions. Good while version() stays.
  WatermarkBeside Beside(StreamId stream, SourceRef partition) const;
  // Another one with each change.
  uint64_t version() const { return version_; }

 private:
  struct Partition {
    SourceRef source;
    TimeMs seen;
  };
  struct Stream {
    std::vector<Partition> active;
    uint32_t expected = 0;  // no watermark before so many partitions have joined
    uint32_t joined = 0;
    TimeMs highest = kNoTime;
    TimeMs watermark = kNoTime;
  };

  const Catalog& catalog_;
  std::vector<Stream> streams_;
  uint64_t version_ = 1;
};

}  // namespace bettong::grid
