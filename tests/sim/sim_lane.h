// Where a simulated node's loans go: turns run at random moments, one by one or with others at
// hand, those of different entities in any order, and results come back in pieces, late.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "compute/turn_runner.h"
#include "grid/runtime/loan_taker.h"
#include "grid/runtime/shard_loop.h"
#include "tests/sim/scheduler.h"

namespace bettong::sim {

class SimLane final : public grid::LoanTaker {
 public:
  SimLane(Scheduler& scheduler, uint32_t who, std::unique_ptr<grid::ComputeHost> host);

  void SetShards(std::vector<grid::ShardLoop*> shards);
  void Send(ShardId from, std::vector<grid::Loan> loans) override;

 private:
  static constexpr size_t kBatchLoansMax = 12;

  // Loans of one entity, in order; key functions have queues of their own.
  struct Queue {
    size_t shard;
    std::deque<grid::Loan> loans;
  };

  void Schedule();
  void RunSome();
  std::vector<grid::Loan> Take(size_t shard, uint64_t entity, size_t count);
  void FlushLater(size_t shard);

  Scheduler& scheduler_;
  const uint32_t who_;
  const std::unique_ptr<grid::ComputeHost> host_;
  std::vector<grid::ShardLoop*> shards_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<std::pair<size_t, uint64_t>, Queue> queues_;
  std::vector<std::shared_ptr<grid::LoanResults>> results_;  // by shard
  std::vector<uint8_t> flushing_;
  bool scheduled_ = false;
};

}  // namespace bettong::sim
