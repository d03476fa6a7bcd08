#include "grid/runtime/virtual_lane.h"

#include <span>

#include "grid/runtime/shard_loop.h"

namespace bettong::grid {

void VirtualLane::Send(ShardId from, std::vector<Loan> loans) {
  batches_.emplace_back(from, std::move(loans));
  executor_.Post([this] { RunNext(); });
}

void VirtualLane::RunNext() {
  const auto [from, loans] = std::move(batches_.front());
  batches_.pop_front();
  LoanResults results;
  for (std::span<const Loan> left = loans; !left.empty();) {
    left = left.subspan(host_->RunBatch(left, results));
  }
  Message message;
  message.kind = MessageKind::kLoanResults;
  message.results = &results;
  shards_[from.value()]->Submit({&message, 1});
}

}  // namespace bettong::grid
