// A shard's log in the simulator: the real committer over the simulated disk, at random moments.
#pragma once

#include <memory>

#include "tests/sim/disk_faults.h"
#include "tests/sim/scheduler.h"
#include "wal/committer.h"
#include "wal/log.h"

namespace bettong::sim {

class SimLog final : public wal::Log {
 public:
  SimLog(Scheduler& scheduler, uint32_t who, std::unique_ptr<wal::Committer> committer,
         DiskFaults& disk);

  void Start(wal::LogListener& listener) override { listener_ = &listener; }
  void Commit(std::unique_ptr<wal::LogRecord> record) override;
  void Stop() override { alive_.reset(); }
  const wal::LogStats& stats() const override { return committer_->stats(); }

 private:
  void CommitOne();
  void TidyLater();
  void Tidy();
  void NoteFull();

  Scheduler& scheduler_;
  const uint32_t who_;
  const std::unique_ptr<wal::Committer> committer_;
  DiskFaults& disk_;
  const bool lags_;  // behind those of the other shards
  wal::LogListener* listener_ = nullptr;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<wal::LogRecord> record_;
  bool tidying_ = false;
  bool told_full_ = false;
};

}  // namespace bettong::sim
