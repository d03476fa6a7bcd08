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

TimeMs Watermarks::OfClass(const ClassSchema& entity_class) const {
  TimeMs least = kNeverExpires;
  for (const HandlerSchema& handler : entity_class.handlers) {
    least = std::min(least, OfStream(handler.stream));
  }
  return least == kNeverExpires ? kNoTime : least;
}

}  // namespace bettong::grid
