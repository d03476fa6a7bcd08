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
  for (uint64_t batches = 1 + scheduler_.Below(8); batches > 0 && !queues_.empty(); --batches) {
    auto any = queues_.begin();
    std::advance(any, static_cast<ptrdiff_t>(scheduler_.Below(queues_.size())));
    const size_t shard = any->second.shard;
    // Mostly loans are at hand one by one, or those of an entity that has many.
    const size_t loans_max = scheduler_.OneIn(4) ? 1 + scheduler_.Below(kBatchLoansMax) : 1;
    const std::vector<grid::Loan> loans = Take(shard, any->first.second, loans_max);
    // It stops where it likes.
    for (std::span<const grid::Loan> left = loans; !left.empty();) {
      left = left.subspan(host_->RunBatch(left, *results_[shard]));
    }
    FlushLater(shard);
  }
}

// The next ones of that entity, and of others of its shard between them.
std::vector<grid::Loan> SimLane::Take(size_t shard, uint64_t entity, size_t count) {
  std::vector<grid::Loan> taken;
  const bool alone = scheduler_.OneIn(2);
  auto at = queues_.find({shard, entity});
  while (taken.size() < count) {
    if (at == queues_.end() || at->first.first != shard) {
      at = queues_.lower_bound({shard, 0});
      if (at == queues_.end() || at->first.first != shard) break;
    }
    std::deque<grid::Loan>& loans = at->second.loans;
    taken.push_back(loans.front());
    loans.pop_front();
    const bool more = !loans.empty();
    if (!more) at = queues_.erase(at);
    if (alone && !more) break;
    if (more && !alone && scheduler_.OneIn(3)) ++at;
  }
  return taken;
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
