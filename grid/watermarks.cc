#include "grid/watermarks.h"

namespace bettong::grid {

bool Watermarks::Apply(const WatermarkNote& note) {
  Stream& stream = streams_[note.stream.value()];
  auto at = std::find_if(stream.active.begin(), stream.active.end(),
                         [&](const Partition& p) { return p.source == note.partition; });
  switch (note.kind) {
    case WatermarkNote::Kind::kHold:
      stream.expected += note.expected;
      break;
    case WatermarkNote::Kind::kAdvance:
      stream.highest = std::max(stream.highest, note.time_ms);
      if (at == stream.active.end()) {
        stream.active.push_back(Partition{note.partition, note.time_ms});
        ++stream.joined;
      } else {
        at->seen = std::max(at->seen, note.time_ms);
      }
      break;
    case WatermarkNote::Kind::kLeave:
      stream.highest = std::max(stream.highest, note.time_ms);
      if (at != stream.active.end()) stream.active.erase(at);
      break;
  }
  if (stream.joined < stream.expected) return false;
  TimeMs watermark = stream.highest;
  for (const Partition& partition : stream.active) watermark = std::min(watermark, partition.seen);
  if (watermark <= stream.watermark) return false;
  stream.watermark = watermark;
  return true;
}

TimeMs Watermarks::OfStream(StreamId id, SourceRef source, TimeMs seen_ms) const {
  const Stream& stream = streams_[id.value()];
  uint32_t joined = stream.joined;
  TimeMs least = seen_ms;
  bool known = false;
  for (const Partition& partition : stream.active) {
    const bool same = partition.source == source;
    known |= same;
    least = std::min(least, same ? std::max(partition.seen, seen_ms) : partition.seen);
  }
  if (!known) ++joined;
  return joined < stream.expected ? stream.watermark : std::max(least, stream.watermark);
}

TimeMs Watermarks::OfClass(const ClassSchema& entity_class) const {
  return OfClass(entity_class, StreamId(0), kNoTime);
}

TimeMs Watermarks::OfClass(const ClassSchema& entity_class, StreamId stream,
                           TimeMs watermark_ms) const {
  TimeMs least = kNeverExpires;
  for (const StreamId timed : entity_class.timed_streams) {
    TimeMs of_stream = OfStream(timed);
    if (timed == stream) of_stream = std::max(of_stream, watermark_ms);
    least = std::min(least, of_stream);
  }
  return least == kNeverExpires ? kNoTime : least;
}

}  // namespace bettong::grid
