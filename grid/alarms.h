// When entities want a turn of their own: timers that are due, windows that close. A record says no
// more than that an entity is to be looked at; what is due, its fields know. Timers go by the clock
// of their class, windows by the watermark of its streams.
//
// Owned by the shard.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "grid/catalog.h"
#include "grid/containers/container.h"
#include "grid/timing_wheel.h"

namespace bettong::grid {

// An alarm of an entity, on its way from the lane to the shard.
struct AlarmRequest {
  bool by_watermark = false;
  Container::Alarm alarm;
};

inline bool GoesByWatermark(const ClassSchema& entity_class, const FieldSchema& field) {
  return field.type == FieldType::kWindow || entity_class.clock == TtlClock::kEvent;
}
// Whether the field's alarms are wanted: windows that nobody is told of close beside other turns.
inline bool HasAlarm(const ClassSchema& entity_class, const FieldSchema& field) {
  return field.type == FieldType::kTimers || entity_class.has_on_close;
}

class Alarms {
 public:
  explicit Alarms(const Catalog& catalog) { OnCatalogChanged(catalog); }

  // Also at the beginning. Classes keep what is set for them.
  void OnCatalogChanged(const Catalog& catalog) {
    by_watermark_.resize(catalog.classes.size());
    for (size_t i = 0; i < by_watermark_.size(); ++i) {
      const ClassSchema& entity_class = catalog.classes[i];
      if (by_watermark_[i] != nullptr) continue;
      if (entity_class.uses_watermark && entity_class.row.has_timed()) {
        by_watermark_[i] = std::make_unique<TimingWheel>();
      }
    }
  }

  void Set(EntryId id, ClassId entity_class, const AlarmRequest& request) {
    TimingWheel& wheel = request.by_watermark ? *by_watermark_[entity_class.value()] : by_wall_;
    wheel.File(id, request.alarm.generation, request.alarm.at_ms);
  }

  // Calls ring(id, generation) for what is due by then, and now and then for what is not yet, with
  // at most so much work; answers how much it was.
  template <typename Ring>
  size_t AdvanceWall(TimeMs now_ms, size_t budget, const Ring& ring) {
    if (by_wall_.size() == 0) by_wall_.SkipTo(now_ms);
    return by_wall_.Advance(now_ms, budget, ring);
  }
  template <typename Ring>
  size_t AdvanceWatermark(size_t entity_class, TimeMs watermark_ms, size_t budget,
                          const Ring& ring) {
    TimingWheel* wheel = by_watermark_[entity_class].get();
    if (wheel == nullptr || watermark_ms == kNoTime) return 0;
    return wheel->Advance(watermark_ms, budget, ring);
  }

  TimeMs NextWall() const { return by_wall_.NextWake(); }
  TimeMs NextWatermark(size_t entity_class) const {
    const TimingWheel* wheel = by_watermark_[entity_class].get();
    return wheel == nullptr ? kNeverExpires : wheel->NextWake();
  }

  size_t size() const {
    size_t records = by_wall_.size();
    for (const auto& wheel : by_watermark_) records += wheel == nullptr ? 0 : wheel->size();
    return records;
  }
  // Looks at so many records and drops those for which keep(id, generation) is false.
  template <typename Keep>
  void Sweep(size_t budget, const Keep& keep) {
    by_wall_.Sweep(budget, keep);
    for (const auto& wheel : by_watermark_) {
      if (wheel != nullptr) wheel->Sweep(budget, keep);
    }
  }
  size_t bytes_in_use() const {
    size_t bytes = by_wall_.bytes_in_use();
    for (const auto& wheel : by_watermark_) bytes += wheel == nullptr ? 0 : wheel->bytes_in_use();
    return bytes;
  }

 private:
  TimingWheel by_wall_;
  std::vector<std::unique_ptr<TimingWheel>> by_watermark_;  // per class; null: has none
};

}  // namespace bettong::grid
