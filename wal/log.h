// The log as a shard sees it: records go in, one at a time, and each is reported once it is
// durable. Where it lies (segments on this machine's disk, partitions of a topic) is the
// implementation's business; so is the thread that it blocks.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/histogram.h"
#include "wal/log_record.h"

namespace bettong::wal {

// Told what becomes of the records. Called on the log's thread.
class LogListener {
 public:
  // The record is durable; it comes back so that its memory can be used again.
  virtual void OnDurable(std::unique_ptr<LogRecord> record) = 0;
  // The disk is full, or not any more. The record at hand is kept and tried again.
  virtual void OnDiskFull(bool full) = 0;
  // Nothing will ever be durable again: what is on disk is not known any more.
  virtual void OnFailed(const absl::Status& status) = 0;

 protected:
  ~LogListener() = default;
};

// Read from any thread.
struct LogStats {
  std::atomic<uint64_t> bytes{0};          // appended since the start
  std::atomic<uint64_t> records{0};        // likewise, markers included
  std::atomic<uint64_t> segments{0};       // on disk now
  std::atomic<uint64_t> segment_bytes{0};  // of these
  Histogram commit_ns;                     // what a commit took, written and synced
};

class Log {
 public:
  virtual ~Log() = default;

  // Before the first record.
  virtual void Start(LogListener& listener) = 0;
  // The record before has been reported durable.
  virtual void Commit(std::unique_ptr<LogRecord> record) = 0;
  // After what has been given is reported (or can't be); nothing is called any more.
  virtual void Stop() = 0;

  virtual const LogStats& stats() const = 0;
};

}  // namespace bettong::wal
