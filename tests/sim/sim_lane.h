// Where a simulated node's loans go: turns run one by one at random moments, those of different
// entities in any order, and results come back in pieces, late.
#pragma once

#include <deque>
#include <map>
#include <memory>
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
  // Loans of one entity, in order; key functions have queues of their own.
  struct Queue {
    size_t shard;
    std::deque<grid::Loan> loans;
  };

  void Schedule();
  void RunSome();
  void FlushLater(size_t shard);

  Scheduler& scheduler_;
  const uint32_t who_;
  const std::unique_ptr<grid::ComputeHost> host_;
  std::vector<grid::ShardLoop*> shards_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<std::pair<size_t, uint64_t>, Queue> queues_;
  uint64_t keyless_ = 0;
  std::vector<std::shared_ptr<grid::LoanResults>> results_;  // by shard
  std::vector<uint8_t> flushing_;
  bool scheduled_ = false;
};

}  // namespace bettong::sim
