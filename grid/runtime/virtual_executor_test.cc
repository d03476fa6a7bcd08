#include "grid/runtime/virtual_executor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace bettong::grid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(VirtualExecutor, WorkRunsInOrderOfPostingAndOnlyWhenItSettles) {
  VirtualExecutor executor(1000);
  std::vector<int> ran;
  executor.Post([&] {
    ran.push_back(1);
    executor.Post([&] { ran.push_back(3); });
  });
  executor.Post([&] { ran.push_back(2); });
  EXPECT_TRUE(ran.empty());
  EXPECT_TRUE(executor.Settle().ok());
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(executor.NowMs(), 1000);
}

TEST(VirtualExecutor, TimersRunAtExactlyTheirMomentInOrderOfTime) {
  VirtualExecutor executor(1000);
  std::vector<std::pair<std::string, TimeMs>> ran;
  auto late = executor.MakeTimer(), early = executor.MakeTimer(), beyond = executor.MakeTimer();
  late->Arm(seconds(60), [&] { ran.emplace_back("late", executor.NowMs()); });
  early->Arm(milliseconds(7), [&] {
    ran.emplace_back("early", executor.NowMs());
    early->Arm(milliseconds(5), [&] { ran.emplace_back("again", executor.NowMs()); });
  });
  beyond->Arm(milliseconds(60'001), [&] { ran.emplace_back("beyond", executor.NowMs()); });
  EXPECT_TRUE(executor.AdvanceTo(61'000).ok());
  EXPECT_EQ(ran, (std::vector<std::pair<std::string, TimeMs>>{
                     {"early", 1007}, {"again", 1012}, {"late", 61'000}}));
  EXPECT_EQ(executor.NowMs(), 61'000);
}

TEST(VirtualExecutor, ATimerThatIsCancelledArmedAnewOrGoneDoesNotRun) {
  VirtualExecutor executor(0);
  int ran = 0;
  auto cancelled = executor.MakeTimer(), anew = executor.MakeTimer(), gone = executor.MakeTimer();
  cancelled->Arm(seconds(1), [&] { ran += 1; });
  cancelled->Cancel();
  anew->Arm(seconds(1), [&] { ran += 10; });
  anew->Arm(seconds(2), [&] { ran += 100; });
  gone->Arm(seconds(1), [&] { ran += 1000; });
  gone.reset();
  EXPECT_TRUE(executor.AdvanceTo(5000).ok());
  EXPECT_EQ(ran, 100);
}

TEST(VirtualExecutor, TimeDoesNotGoBack) {
  VirtualExecutor executor(5000);
  EXPECT_TRUE(executor.AdvanceTo(5000).ok());
  const absl::Status status = executor.AdvanceTo(4999);
  EXPECT_EQ(status.message(), "advance to 4999 ms: it is 5000 ms already");
  EXPECT_EQ(executor.NowMs(), 5000);
}

TEST(VirtualExecutor, WorkThatNeverEndsIsAnErrorOneStepPastTheLimit) {
  constexpr uint64_t kMax = 10;
  VirtualExecutor executor(0, kMax);
  uint64_t left = kMax, ran = 0;
  std::function<void()> work = [&] {
    ++ran;
    if (--left > 0) executor.Post(work);
  };
  executor.Post(work);
  EXPECT_TRUE(executor.Settle().ok());
  EXPECT_EQ(ran, kMax);

  left = kMax + 1;
  executor.Post(work);
  EXPECT_TRUE(absl::IsResourceExhausted(executor.Settle()));
  EXPECT_EQ(ran, 2 * kMax);
  // What is left is still there.
  EXPECT_TRUE(executor.Settle().ok());
  EXPECT_EQ(ran, 2 * kMax + 1);
}

}  // namespace
}  // namespace bettong::grid
