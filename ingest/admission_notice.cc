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
    case Admission::kWindowFull:
      return "closed (its events wait for their turns)";
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
    case Admission::kWindowFull:
    case Admission::kReloading:
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
  }
  return "";
}

}  // namespace

AdmissionNotice::AdmissionNotice(std::string what, LogLine log)
    : what_(std::move(what)), log_(std::move(log)) {}

Admission AdmissionNotice::Gravest() const {
  size_t why = kAdmissions - 1;
  while (why > 0 && held_[why] == 0) --why;
  return static_cast<Admission>(why);
}

void AdmissionNotice::Change(Admission from, Admission to, Clock::time_point now) {
  std::lock_guard lock(mutex_);
  paused_[static_cast<size_t>(admission())] += now - accounted_;
  accounted_ = now;
  if (from != Admission::kOpen) {
    BETTONG_CHECK(held_[static_cast<size_t>(from)] > 0);
    --held_[static_cast<size_t>(from)];
  } else {
    ++pauses_;
  }
  if (to != Admission::kOpen) ++held_[static_cast<size_t>(to)];
  const Admission why = Gravest();
  admission_.store(why, std::memory_order_relaxed);
  Tell(why, now);
}

// A full window is everyday back-pressure, and new code takes over in a moment: no news.
void AdmissionNotice::Tell(Admission why, Clock::time_point now) {
  if (why > Admission::kReloading) {
    if (!std::exchange(closed_, true)) closed_since_ = now;
    if (said_ || now < quiet_until_) return;
    said_ = true;
    return Say(absl::StrCat(what_, std::string(WhyHeld(why))), now);
  }
  closed_ = false;
  if (!std::exchange(said_, false)) return;
  using Seconds = std::chrono::duration<double>;
  Say(absl::StrCat(what_, ": no longer held back, after ", Seconds(now - closed_since_).count(),
                   " s"),
      now);
}

uint64_t AdmissionNotice::pauses() const {
  std::lock_guard lock(mutex_);
  return pauses_;
}

std::chrono::nanoseconds AdmissionNotice::Paused(Admission why, Clock::time_point now) const {
  std::lock_guard lock(mutex_);
  std::chrono::nanoseconds paused = paused_[static_cast<size_t>(why)];
  if (admission() == why) paused += now - accounted_;
  return paused;
}

std::chrono::nanoseconds AdmissionNotice::PausedInAll(Clock::time_point now) const {
  std::chrono::nanoseconds paused{};
  for (size_t why = 1; why < kAdmissions; ++why) paused += Paused(Admission(why), now);
  return paused;
}

void AdmissionNotice::Say(const std::string& line, Clock::time_point now) {
  quiet_until_ = now + kAdmissionNoticeEvery;
  if (log_) log_(line);
}

}  // namespace bettong::ingest
