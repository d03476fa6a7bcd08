#include "grid/failure_policy.h"

#include <gtest/gtest.h>

namespace bettong::grid {
namespace {

TEST(FailurePolicy, BackoffGrowsByItsFactorUpToItsMaximum) {
  const FailurePolicy policy{.kind = FailurePolicy::Kind::kRetry,
                             .retries_max = 5,
                             .backoff_ms = 100,
                             .backoff_ms_max = 1000,
                             .factor = 3};
  EXPECT_EQ(policy.BackoffMs(0), 100u);
  EXPECT_EQ(policy.BackoffMs(1), 300u);
  EXPECT_EQ(policy.BackoffMs(2), 900u);
  EXPECT_EQ(policy.BackoffMs(3), 1000u);
  EXPECT_EQ(policy.BackoffMs(4), 1000u);
}

TEST(FailurePolicy, BackoffBeyondAllNumbersIsTheMaximum) {
  const FailurePolicy policy{.kind = FailurePolicy::Kind::kRetry,
                             .retries_max = kRetriesMax,
                             .backoff_ms = kBackoffMsMax,
                             .factor = 1e9};
  EXPECT_EQ(policy.BackoffMs(kRetriesMax - 1), kBackoffMsMax);
}

}  // namespace
}  // namespace bettong::grid
