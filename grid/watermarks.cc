#include "grid/watermarks.h"

namespace bettong::grid {

bool Watermarks::Apply(const WatermarkNote& note) {
  ++version_;
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

WatermarkBeside Watermarks::Beside(StreamId id, SourceRef source) const {
  const Stream& stream = streams_[id.value()];
  WatermarkBeside beside{.floor_ms = stream.watermark};
  bool known = false;
  for (const Partition& partition : stream.active) {
    if (partition.source == source) {
      known = true;
    } else {
      beside.others_ms = std::min(beside.others_ms, partition.seen);
    }
  }
  beside.held = stream.joined + (known ? 0 : 1) < stream.expected;
  return beside;
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
