// Where the loans of shards under a virtual clock go: a host on the shards' own thread, which runs
// them all in the order they were lent, as the next piece of the executor's work.
#pragma once

#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "grid/compute_host.h"
#include "grid/loan.h"
#include "grid/runtime/executor.h"
#include "grid/runtime/loan_taker.h"

namespace bettong::grid {

class ShardLoop;

class VirtualLane final : public LoanTaker {
 public:
  // Both must outlive the lane's work, and the lane its shards' loans.
  VirtualLane(Executor& executor, std::unique_ptr<ComputeHost> host)
      : executor_(executor), host_(std::move(host)) {}

  // The shards that results go to, by ShardId. Before the first loan.
  void SetShards(std::vector<ShardLoop*> shards) { shards_ = std::move(shards); }
  void Send(ShardId from, std::vector<Loan> loans) override;

 private:
  void RunNext();

  Executor& executor_;
  const std::unique_ptr<ComputeHost> host_;
  std::vector<ShardLoop*> shards_;
  std::deque<std::pair<ShardId, std::vector<Loan>>> batches_;
};

}  // namespace bettong::grid
