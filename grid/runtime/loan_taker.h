// Where a shard's loans go: a lane's thread, or what stands for it in a simulator.
#pragma once

#include <vector>

#include "base/ids.h"
#include "grid/loan.h"

namespace bettong::grid {

class LoanTaker {
 public:
  // From the shard's thread. The results come back as a message of the shard, in order for each
  // entity.
  virtual void Send(ShardId from, std::vector<Loan> loans) = 0;

 protected:
  ~LoanTaker() = default;
};

}  // namespace bettong::grid
