#include "tests/sim/sim_lane.h"

#include <utility>

#include "grid/runtime/call_mail.h"

namespace bettong::sim {

SimLane::SimLane(Scheduler& scheduler, uint32_t who, std::unique_ptr<grid::ComputeHost> host)
    : scheduler_(scheduler), who_(who), host_(std::move(host)) {}

void SimLane::SetShards(std::vector<grid::ShardLoop*> shards) {
  shards_ = std::move(shards);
  results_.resize(shards_.size());
  flushing_.resize(shards_.size());
  for (auto& results : results_) results = std::make_shared<grid::LoanResults>();
}

void SimLane::Send(ShardId from, std::vector<grid::Loan> loans) {
  constexpr uint64_t kKeyless = uint64_t{1} << 32;
  for (const grid::Loan& loan : loans) {
    // Key functions keep the order of their events.
    const uint64_t entity = loan.row == nullptr ? kKeyless : loan.entry.value();
    Queue& queue = queues_[{from.value(), entity}];
    queue.shard = from.value();
    queue.loans.push_back(loan);
  }
  Schedule();
}

void SimLane::Schedule() {
  if (scheduled_ || queues_.empty()) return;
  scheduled_ = true;
  const uint64_t delay_us = scheduler_.OneIn(40) ? scheduler_.Below(30'000) : scheduler_.Below(100);
  scheduler_.After(delay_us, who_, alive_, [this] {
    scheduled_ = false;
    RunSome();
    Schedule();
  });
}

void SimLane::RunSome() {
  for (uint64_t turns = 1 + scheduler_.Below(8); turns > 0 && !queues_.empty(); --turns) {
    auto at = queues_.begin();
    std::advance(at, static_cast<ptrdiff_t>(scheduler_.Below(queues_.size())));
    Queue& queue = at->second;
    const size_t shard = queue.shard;
    host_->RunBatch({&queue.loans.front(), 1}, *results_[shard]);
    queue.loans.pop_front();
    if (queue.loans.empty()) queues_.erase(at);
    FlushLater(shard);
  }
}

void SimLane::FlushLater(size_t shard) {
  if (std::exchange(flushing_[shard], uint8_t{1}) != 0) return;
  scheduler_.After(scheduler_.Below(300), who_, alive_, [this, shard] {
    flushing_[shard] = 0;
    auto results = std::exchange(results_[shard], std::make_shared<grid::LoanResults>());
    const ShardId to(static_cast<uint16_t>(shard));
    shards_[shard]->Post(to, std::make_unique<grid::CallMail>([results](grid::ShardLoop& loop) {
                           grid::Message message;
                           message.kind = grid::MessageKind::kLoanResults;
                           message.results = results.get();
                           loop.Submit({&message, 1});
                         }));
  });
}

}  // namespace bettong::sim
