// Tells the operator that a source is held back because the node admits no events: one line on the
// log when it begins, one when it ends, and what INFO shows meanwhile. A source held back on and
// off is told of every kAdmissionNoticeEvery at most; one that stays held back always is.
//
// One per source, shared by its inputs on all shards: thread-safe. Off the data path: an input
// calls it only while it waits, and when it goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "grid/runtime/shard_loop.h"
#include "ingest/config.h"

namespace bettong::ingest {

inline constexpr std::chrono::seconds kAdmissionNoticeEvery{10};

enum class Admission : uint8_t {
  kOpen,
  kOverMemory,
  kOutboxFull,
  kDiskFull,
  kLogBehind,
  kReloading
};

Admission AdmissionOf(grid::ShardLoop& shard);
// "open", "closed (over maxmemory)".
std::string_view DescribeAdmission(Admission admission);

class AdmissionNotice {
 public:
  using Clock = std::chrono::steady_clock;

  // `what`: "source metrics".
  AdmissionNotice(std::string what, LogLine log);

  // An input is held back: at its first look and at each further one.
  void Held(bool first, Admission why, Clock::time_point now);
  // It is not, any more.
  void Released(Clock::time_point now);

  Admission admission() const { return admission_.load(std::memory_order_relaxed); }

 private:
  void Say(const std::string& line, Clock::time_point now);

  const std::string what_;
  const LogLine log_;
  std::atomic<Admission> admission_{Admission::kOpen};

  std::mutex mutex_;
  size_t held_ = 0;    // inputs
  bool said_ = false;  // that they are
  Clock::time_point held_since_;
  Clock::time_point quiet_until_;
};

// One input's part: holds it back, or not, as long as it lives.
class AdmissionHold {
 public:
  explicit AdmissionHold(AdmissionNotice& notice) : notice_(notice) {}
  ~AdmissionHold() { Set(Admission::kOpen); }
  AdmissionHold(const AdmissionHold&) = delete;
  AdmissionHold& operator=(const AdmissionHold&) = delete;

  void Set(Admission admission) {
    const bool was_held = held_;
    held_ = admission != Admission::kOpen;
    if (held_) {
      notice_.Held(!was_held, admission, AdmissionNotice::Clock::now());
    } else if (was_held) {
      notice_.Released(AdmissionNotice::Clock::now());
    }
  }

 private:
  AdmissionNotice& notice_;
  bool held_ = false;
};

}  // namespace bettong::ingest
