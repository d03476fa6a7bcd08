// One input of events (a connection, a file) as the gate sees it: where its credits come back to
// and what it has seen. Owned by whoever reads the input, on the shard that is the source's home.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>

#include "base/ids.h"
#include "grid/origin.h"

namespace bettong::ingest {

class LineReader;

// What a source has taken in, all its inputs together. Written by shards once a read, read by any
// thread.
struct SourceCounters {
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> frames{0};        // lines or frames, good or bad: what the input held
  std::atomic<uint64_t> events{0};        // of these decoded
  std::atomic<uint64_t> dead_letters{0};  // frames and events refused, keys not found
  std::atomic<uint64_t> connections{0};   // ever
  std::atomic<int64_t> connections_open{0};
  // Turns of its events and entries of views that are still to be; what sinks write is not in it.
  std::atomic<int64_t> outstanding{0};
};

struct InputChannel {
  grid::SourceRef source;  // the source partition
  grid::Origin origin;     // of the event at hand
  StreamId stream;
  std::string name;  // "source metrics, 127.0.0.1:50312", for the log
  SourceCounters* counters = nullptr;
  LineReader* lines = nullptr;   // of what its frames are lines; null: they are JSON
  LineReader* beside = nullptr;  // fields that come with a frame, but not in it; null: none do

  // Event time.
  TimeMs seen_ms = kNoTime;       // the highest seen
  TimeMs announced_ms = kNoTime;  // what the shards have been told
  bool joined = false;            // the shards count on this input

  // Since the last Publish:
  uint64_t frames = 0;
  uint64_t events = 0;
  uint64_t dead_letters = 0;
  // Before:
  uint64_t dead_letters_total = 0;

  void SetSource(grid::SourceRef ref) { source = origin.source = ref; }
  void SeeTime(TimeMs time_ms) { seen_ms = std::max(seen_ms, time_ms); }
  void Publish() {
    if (counters != nullptr) {
      counters->frames.fetch_add(frames, std::memory_order_relaxed);
      counters->events.fetch_add(events, std::memory_order_relaxed);
      counters->dead_letters.fetch_add(dead_letters, std::memory_order_relaxed);
    }
    dead_letters_total += dead_letters;
    frames = events = dead_letters = 0;
  }
};

}  // namespace bettong::ingest
