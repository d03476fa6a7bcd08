#include "tests/sim/sim_log.h"

#include <utility>

#include "base/simulation.h"

namespace bettong::sim {
namespace {

constexpr uint64_t kFullRetryUs = 100'000;

}  // namespace

SimLog::SimLog(Scheduler& scheduler, uint32_t who, std::unique_ptr<wal::Committer> committer,
               DiskFaults& disk)
    : scheduler_(scheduler),
      who_(who),
      committer_(std::move(committer)),
      disk_(disk),
      lags_(scheduler.OneIn(6)) {}

void SimLog::Commit(std::unique_ptr<wal::LogRecord> record) {
  record_ = std::move(record);
  const uint64_t delay_us = scheduler_.OneIn(lags_ ? 2 : 30)
                                ? scheduler_.Below(lags_ ? 200'000 : 50'000)
                                : 20 + scheduler_.Below(2'000);
  scheduler_.After(delay_us + disk_.ExtraUs(), who_, alive_, [this] { CommitOne(); });
}

void SimLog::CommitOne() {
  const absl::Status status = committer_->Commit(*record_);
  if (absl::IsResourceExhausted(status)) {
    NoteFull();
    scheduler_.After(kFullRetryUs, who_, alive_, [this] { CommitOne(); });
    return;
  }
  if (!status.ok()) return listener_->OnFailed(status);
  NoteFull();
  listener_->OnDurable(std::move(record_));
  TidyLater();
}

void SimLog::TidyLater() {
  if (std::exchange(tidying_, true)) return;
  scheduler_.After(scheduler_.Below(5'000), who_, alive_, [this] {
    tidying_ = false;
    if (record_ == nullptr) Tidy();
  });
}

void SimLog::Tidy() {
  const absl::StatusOr<bool> more = committer_->Tidy();
  if (!more.ok()) return listener_->OnFailed(more.status());
  NoteFull();
  if (*more) return TidyLater();
  if (committer_->full()) {
    scheduler_.After(kFullRetryUs, who_, alive_, [this] { TidyLater(); });
  }
  if (!committer_->needs_mark()) return;
  scheduler_.After(50'000, who_, alive_, [this] {
    if (record_ != nullptr || !committer_->needs_mark()) return;
    if (const absl::Status status = committer_->Mark(); !status.ok()) listener_->OnFailed(status);
  });
}

void SimLog::NoteFull() {
  if (committer_->full() == told_full_) return;
  told_full_ = committer_->full();
  if (!told_full_) BETTONG_SOMETIMES(disk_full_and_resumed);
  listener_->OnDiskFull(told_full_);
}

}  // namespace bettong::sim
