// What a shard (inline) or a lane's thread calls with a batch of loans.
#pragma once

#include <cstddef>
#include <span>

#include "grid/loan.h"

namespace bettong::grid {

inline constexpr size_t kLoansAtATime = 128;
// Of the thread that a host runs on: code of users may recurse deeply. Memory only as far as used.
inline constexpr size_t kLaneStackBytes = 256u << 20;

class ComputeHost {
 public:
  virtual ~ComputeHost() = default;

  // Runs loans in order, appends one result each, and answers how many it ran: fewer than given
  // when its time slice is over, so that results never wait long for a slow neighbour; at least
  // one. The others come first, at the same place, in the next call, if there is one.
  virtual size_t RunBatch(std::span<const Loan> loans, LoanResults& results) = 0;

  // How many loans it is best given at a time, if there are as many.
  virtual size_t loans_at_a_time() const { return kLoansAtATime; }
};

}  // namespace bettong::grid
