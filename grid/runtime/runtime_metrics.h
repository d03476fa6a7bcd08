// What the runtime measures beside its work: once a batch or slice, never once an event. Each is
// written by one thread and may be read by any.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>

#include "base/histogram.h"
#include "grid/message.h"

namespace bettong::grid {

inline int64_t SteadyNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Of a ShardLoop.
struct LoopMetrics {
  Histogram event_latency_ns;  // from an event's decoding to the end of its turn; per batch
  PublishedCounter loans_sent;

  void RecordCompleted(std::span<EventBatch* const> batches) {
    if (batches.empty()) return;
    const int64_t now_ns = SteadyNs();
    for (const EventBatch* batch : batches) {
      if (batch->begun_ns == 0) continue;
      event_latency_ns.Record(static_cast<uint64_t>(std::max<int64_t>(now_ns - batch->begun_ns, 0)),
                              batch->items.size());
    }
  }
};

// Of a Lane.
struct LaneMetrics {
  Histogram turn_ns;  // a slice's time by its turns
  PublishedCounter busy_ns;
  PublishedCounter loans_done;

  void RecordSlice(std::chrono::nanoseconds took, size_t loans) {
    const auto ns = static_cast<uint64_t>(took.count());
    busy_ns.Add(ns);
    loans_done.Add(loans);
    if (loans > 0) turn_ns.Record(ns / loans, loans);
  }
};

}  // namespace bettong::grid
