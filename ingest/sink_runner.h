// One sink at work, on a thread of its own. Life: Start, any number of Send from shards' threads,
// Stop. Chunks are handed back on the sink's thread, each once, when the sink has all of it.
#pragma once

#include <chrono>

#include "ingest/sink_chunk.h"

namespace bettong::ingest {

class SinkRunner {
 public:
  virtual ~SinkRunner() = default;

  virtual void Start() = 0;
  virtual void Send(SinkChunk* chunk) = 0;
  // Waits until everything sent is written; false at the deadline, or when nothing will be any
  // more.
  virtual bool Drain(std::chrono::steady_clock::time_point deadline) = 0;
  // Ends the thread after the write at hand. Chunks that are left are the caller's again.
  virtual void Stop() = 0;
  // Nothing will be written any more: the reader of a pipe is gone.
  virtual bool broken() const { return false; }
};

}  // namespace bettong::ingest
