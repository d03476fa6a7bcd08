#include "grid/runtime/shard_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/runtime/call_mail.h"
#include "grid/runtime/outbox.h"
#include "grid/runtime/shard_loop.h"

namespace bettong::grid {
namespace {

constexpr size_t kSpareEffectsMax = 64;
constexpr size_t kSpareBytesMax = 64u << 10;

}  // namespace

ShardLog::ShardLog(ShardLoop& loop, Shard& shard, Executor& executor, ShardLogOptions options)
    : loop_(loop),
      shard_(shard),
      executor_(executor),
      options_(options),
      timer_(executor.MakeTimer()),
      rest_timer_(executor.MakeTimer()),
      wait_timer_(executor.MakeTimer()),
      log_bytes_(options.bytes_before) {}

// --- what waits

std::unique_ptr<Effects> ShardLog::TakeSpare() {
  if (spare_.empty()) return std::make_unique<Effects>();
  std::unique_ptr<Effects> effects = std::move(spare_.back());
  spare_.pop_back();
  return effects;
}

bool ShardLog::Hold(Effects& effects) {
  const uint64_t record = RecordNow();
  if (record <= durable_ && held_.empty()) return false;
  if (BETTONG_PLANTED(reply_before_durable)) {
    for (ReplyRange& reply : effects.replies) reply.when_durable = false;
  }
  const bool replies = std::any_of(effects.replies.begin(), effects.replies.end(),
                                   [](const ReplyRange& reply) { return reply.when_durable; });
  if (!replies && effects.outputs.empty() && effects.stream_inputs.empty() &&
      effects.notifications.empty() && effects.credits.empty()) {
    return true;
  }
  if (BETTONG_PLANTED(ack_before_durable)) loop_.SendCredits(std::exchange(effects.credits, {}));
  if (BETTONG_PLANTED(output_before_durable)) return false;
  Held& held = held_.emplace_back();
  held.record = record;
  held.effects = TakeSpare();
  Effects& kept = *held.effects;
  kept.output_bytes.swap(effects.output_bytes);
  kept.outputs.swap(effects.outputs);
  kept.stream_inputs.swap(effects.stream_inputs);
  kept.notification_bytes.swap(effects.notification_bytes);
  kept.notifications.swap(effects.notifications);
  kept.credits.swap(effects.credits);
  if (!replies) return true;
  client_waits_ = true;
  for (const ReplyRange& reply : effects.replies) {
    if (!reply.when_durable) continue;
    ReplyRange& later = kept.replies.emplace_back(reply);
    later.begin = kept.reply_bytes.size();
    kept.reply_bytes.append(effects.reply_bytes, reply.begin, reply.end - reply.begin);
    later.end = kept.reply_bytes.size();
  }
  return true;
}

bool ShardLog::HoldCredits(std::span<const Credit> credits) {
  const uint64_t record = RecordNow();
  if (record <= durable_ && held_.empty()) return false;
  if (held_.empty() || held_.back().record != record) {
    Held& held = held_.emplace_back();
    held.record = record;
    held.effects = TakeSpare();
  }
  std::vector<Credit>& kept = held_.back().effects->credits;
  kept.insert(kept.end(), credits.begin(), credits.end());
  return true;
}

void ShardLog::Wait(const DurableWait& wait) {
  const uint64_t record = RecordNow();
  if (record <= durable_ && !wait.to_the_end) return Answer(wait, true);
  waiters_.push_back({record, wait});
  client_waits_ = true;
  AnswerWaiters();
}

void ShardLog::Answer(const DurableWait& wait, bool durable) {
  Effects effects;
  effects.reply_bytes = durable ? ":1\r\n" : ":0\r\n";
  effects.replies.push_back({wait.ticket, 0, effects.reply_bytes.size()});
  loop_.Release(effects);
}

void ShardLog::AnswerWaiters() {
  const TimeMs now_ms = loop_.now_ms();
  TimeMs next_ms = kNeverExpires;
  std::vector<Waiter> left;
  for (const Waiter& waiter : std::exchange(waiters_, {})) {
    const bool durable = waiter.record <= durable_;
    if ((durable && !waiter.wait.to_the_end) || waiter.wait.deadline_ms <= now_ms) {
      Answer(waiter.wait, durable);
      continue;
    }
    next_ms = std::min(next_ms, waiter.wait.deadline_ms);
    left.push_back(waiter);
  }
  waiters_.insert(waiters_.begin(), left.begin(), left.end());
  if (next_ms == kNeverExpires) return;
  wait_timer_->Arm(std::chrono::milliseconds(next_ms - now_ms), [this] { AnswerWaiters(); });
}

// --- records

void ShardLog::Commit() {
  ++batches_;
  if (!committing_ && (shard_.recorded() || in_round_)) {
    if (overdue_ || shard_.recorded_bytes() >= kCommitBytes) {
      Seal();
    } else if (!held_.empty() || !waiters_.empty()) {
      SealWhenIdle();
    } else if (shard_.recorded()) {
      ArmTimer(kCommitDelay);
    } else {
      ArmTimer(kImagesIdleEvery);
    }
  }
  NoteUndurable();
}

// Every record costs the disk a flush and the machine a few switches of threads: what is on its way
// through this shard shares one. A client may send nothing more before it has its reply, so it does
// not wait for others to come.
void ShardLog::SealWhenIdle() {
  if (std::exchange(idle_check_posted_, true)) return;
  executor_.Post([this, seen = batches_] {
    idle_check_posted_ = false;
    // A record on its way leads back here when it is durable.
    if (committing_ || !(shard_.recorded() || in_round_)) return;
    const bool idle = batches_ == seen;
    if (idle && resting_ && !client_waits_) return;  // the timer leads back here
    if (idle || loop_.now_ms() - sealed_ms_ >= kCommitApartMs) {
      Seal();
      NoteUndurable();
    } else {
      SealWhenIdle();
    }
  });
}

void ShardLog::ArmTimer(std::chrono::milliseconds delay) {
  if (std::exchange(timer_armed_, true)) return;
  timer_->Arm(delay, [this] {
    timer_armed_ = false;
    overdue_ = true;
    Commit();
  });
}

void ShardLog::Seal() {
  overdue_ = false;
  client_waits_ = false;
  sealed_ms_ = loop_.now_ms();
  Rest();
  WriteImages();
  committing_bytes_ = shard_.recorded_bytes();
  log_bytes_ += committing_bytes_;
  std::unique_ptr<wal::LogRecord> record =
      spare_record_ != nullptr ? std::move(spare_record_) : std::make_unique<wal::LogRecord>();
  record->number = ++sealed_;
  shard_.TakeRecord(*record);
  committing_ = true;
  options_.log->Commit(std::move(record));
}

void ShardLog::Rest() {
  resting_ = true;
  const auto end = [this] {
    resting_ = false;
    Commit();
  };
  rest_timer_->Arm(kCommitRest, [this, end] {
    if (shard_.recorded_bytes() < kCommitRestBytes) return end();
    rest_timer_->Arm(kCommitLongRest - kCommitRest, end);
  });
}

void ShardLog::OnDurable(std::unique_ptr<wal::LogRecord> record) {
  // std::function wants what can be copied.
  auto shared = std::make_shared<std::unique_ptr<wal::LogRecord>>(std::move(record));
  loop_.Post(loop_.id(), std::make_unique<CallMail>(
                             [this, shared](ShardLoop&) { Durable(std::move(*shared)); }));
}

void ShardLog::Durable(std::unique_ptr<wal::LogRecord> record) {
  durable_ = record->number;
  committing_ = false;
  committing_bytes_ = 0;
  shard_.Recycle(*record);
  spare_record_ = std::move(record);
  while (!held_.empty() && held_.front().record <= durable_) {
    std::unique_ptr<Effects> effects = std::move(held_.front().effects);
    held_.pop_front();
    loop_.Release(*effects);
    effects->Clear();
    if (spare_.size() < kSpareEffectsMax && effects->output_bytes.capacity() <= kSpareBytesMax &&
        effects->reply_bytes.capacity() <= kSpareBytesMax) {
      spare_.push_back(std::move(effects));
    }
  }
  if (!waiters_.empty()) AnswerWaiters();
  Commit();
}

void ShardLog::OnDiskFull(bool full) {
  full_.store(full, std::memory_order_relaxed);
  loop_.Post(loop_.id(),
             std::make_unique<CallMail>([full](ShardLoop& loop) { loop.SetDiskFull(full); }));
}

void ShardLog::OnFailed(const absl::Status& status) { loop_.LogFailed(status); }

void ShardLog::NoteUndurable() {
  const size_t bytes = committing_bytes_ + shard_.recorded_bytes();
  undurable_.store(bytes, std::memory_order_relaxed);
}

// --- the checkpoint

// A round begins when the log holds a third more than the images of the last one, and writes three
// bytes for each byte that is written beside it: what the log holds stays below three times the
// images.
void ShardLog::WriteImages() {
  const uint64_t traffic = shard_.recorded_bytes();
  if (!in_round_) {
    if (log_bytes_ < options_.round_bytes_min + last_image_bytes_ + last_image_bytes_ / 3) return;
    in_round_ = true;
    round_began_at_ = log_bytes_;
    image_bytes_ = 0;
    shard_.BeginRound();
  }
  const size_t pace = std::clamp<size_t>(kImageBytesPerByte * traffic, options_.image_bytes_min,
                                         kImageBytesPerRecord);
  const bool written = shard_.WriteImages(traffic == 0 ? 16 * options_.image_bytes_min : pace);
  image_bytes_ += shard_.recorded_bytes() - std::min<uint64_t>(shard_.recorded_bytes(), traffic);
  if (!written) return;
  if (!BETTONG_PLANTED(checkpoint_without_outbox)) loop_.outbox().WriteTo(shard_);
  for (const Held& held : held_) {
    const Effects& effects = *held.effects;
    shard_.WriteEmitted(effects.outputs, effects.stream_inputs, effects.output_bytes);
  }
  shard_.EndRound();
  in_round_ = false;
  BETTONG_SOMETIMES(checkpoint_round_ended);
  last_image_bytes_ = image_bytes_;
  log_bytes_ -= round_began_at_;
  rounds_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace bettong::grid
