#include "ingest/admission_notice.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "base/check.h"

namespace bettong::ingest {

Admission AdmissionOf(grid::ShardLoop& shard) {
  if (shard.held()) return Admission::kReloading;
  if (shard.OverMemory()) return Admission::kOverMemory;
  if (shard.LogFull()) return Admission::kDiskFull;
  if (shard.OutboxFull()) return Admission::kOutboxFull;
  return shard.LogBehind() ? Admission::kLogBehind : Admission::kOpen;
}

std::string_view DescribeAdmission(Admission admission) {
  switch (admission) {
    case Admission::kOpen:
      return "open";
    case Admission::kOverMemory:
      return "closed (over maxmemory)";
    case Admission::kOutboxFull:
      return "closed (outputs wait for a sink)";
    case Admission::kDiskFull:
      return "closed (the log's disk is full)";
    case Admission::kLogBehind:
      return "closed (the log is behind)";
    case Admission::kReloading:
      return "closed (new code is taking over)";
  }
  return "";
}

namespace {

// Behind the source's name.
std::string_view WhyHeld(Admission why) {
  switch (why) {
    case Admission::kOpen:
      break;
    case Admission::kOverMemory:
      return ": not read while the node is over maxmemory (DEL, TTLs and CONFIG SET maxmemory make "
             "room)";
    case Admission::kOutboxFull:
      return ": not read while a full outbox waits for a sink";
    case Admission::kDiskFull:
      return ": not read while the log's disk is full";
    case Admission::kLogBehind:
      return ": not read while too much waits for the log's disk";
    case Admission::kReloading:
      break;  // for a moment, and whoever asked for it is told
  }
  return "";
}

}  // namespace

AdmissionNotice::AdmissionNotice(std::string what, LogLine log)
    : what_(std::move(what)), log_(std::move(log)) {}

void AdmissionNotice::Held(bool first, Admission why, Clock::time_point now) {
  std::lock_guard lock(mutex_);
  if (first && held_++ == 0) held_since_ = now;
  admission_.store(why, std::memory_order_relaxed);
  if (said_ || now < quiet_until_ || why == Admission::kReloading) return;
  said_ = true;
  Say(absl::StrCat(what_, std::string(WhyHeld(why))), now);
}

void AdmissionNotice::Released(Clock::time_point now) {
  std::lock_guard lock(mutex_);
  BETTONG_CHECK(held_ > 0);
  if (--held_ > 0) return;
  admission_.store(Admission::kOpen, std::memory_order_relaxed);
  if (!std::exchange(said_, false)) return;
  using Seconds = std::chrono::duration<double>;
  Say(absl::StrCat(what_, ": no longer held back, after ", Seconds(now - held_since_).count(),
                   " s"),
      now);
}

void AdmissionNotice::Say(const std::string& line, Clock::time_point now) {
  quiet_until_ = now + kAdmissionNoticeEvery;
  if (log_) log_(line);
}

}  // namespace bettong::ingest
