// What holds a source back, for INFO and metrics: whether anything does, how often and for how long
// it has. That the node admits no events is told to the operator, too: one line on the log when it
// begins, one when it ends; that events of the source itself are still under way is no news. A
// source held back on and off is told of every kAdmissionNoticeEvery at most; one that stays held
// back always is.
//
// One per source, shared by its inputs on all shards: thread-safe. Off the data path: an input
// calls it only while it waits, and when it goes on.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "grid/runtime/shard_loop.h"
#include "ingest/config.h"

namespace bettong::ingest {

inline constexpr std::chrono::seconds kAdmissionNoticeEvery{10};

// The graver ones last.
enum class Admission : uint8_t {
  kOpen,
  kWindowFull,  // as much of the source is under way as may be
  kReloading,   // new code is taking over: for a moment
  kOverMemory,
  kOutboxFull,
  kDiskFull,
  kLogBehind,
};
inline constexpr size_t kAdmissions = 7;

// Of the node: never kWindowFull.
Admission AdmissionOf(grid::ShardLoop& shard);
// "open", "closed (over maxmemory)".
std::string_view DescribeAdmission(Admission admission);

class AdmissionNotice {
 public:
  using Clock = std::chrono::steady_clock;

  // `what`: "source metrics".
  AdmissionNotice(std::string what, LogLine log);

  // What an input was and is held back by; kOpen: nothing. Told when that changes and, while it is
  // held back, at each further look.
  void Change(Admission from, Admission to, Clock::time_point now);

  Admission admission() const { return admission_.load(std::memory_order_relaxed); }
  // How often inputs have been held back.
  uint64_t pauses() const;
  // How long at least one of them was, by the gravest reason there was.
  std::chrono::nanoseconds Paused(Admission why, Clock::time_point now) const;
  std::chrono::nanoseconds PausedInAll(Clock::time_point now) const;

 private:
  // The gravest reason there is.
  Admission Gravest() const;
  void Tell(Admission why, Clock::time_point now);
  void Say(const std::string& line, Clock::time_point now);

  const std::string what_;
  const LogLine log_;
  std::atomic<Admission> admission_{Admission::kOpen};

  mutable std::mutex mutex_;
  std::array<size_t, kAdmissions> held_{};  // inputs, by reason; kOpen is not counted
  uint64_t pauses_ = 0;
  std::array<std::chrono::nanoseconds, kAdmissions> paused_{};
  Clock::time_point accounted_;  // up to then time is in paused_
  bool said_ = false;            // that the node admits no events
  bool closed_ = false;          // it does not
  Clock::time_point closed_since_;
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
    if (admission == Admission::kOpen && held_by_ == Admission::kOpen) return;
    notice_.Change(std::exchange(held_by_, admission), admission, AdmissionNotice::Clock::now());
  }

 private:
  AdmissionNotice& notice_;
  Admission held_by_ = Admission::kOpen;
};

}  // namespace bettong::ingest
