#include "grid/runtime/virtual_executor.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace bettong::grid {

class VirtualExecutor::VirtualTimer final : public Executor::Timer {
 public:
  explicit VirtualTimer(VirtualExecutor& executor) : executor_(executor) {}
  ~VirtualTimer() override { Cancel(); }

  void Arm(std::chrono::microseconds delay, std::function<void()> work) override {
    Cancel();
    work_ = std::move(work);
    due_ = {executor_.now_us_ + std::max<int64_t>(delay.count(), 0), ++executor_.armings_};
    executor_.armed_.emplace(due_, this);
  }
  void Cancel() override { executor_.armed_.erase(due_); }
  // It is no longer armed. The work may arm it again, or destroy it.
  std::function<void()> TakeWork() { return std::exchange(work_, nullptr); }

 private:
  VirtualExecutor& executor_;
  std::function<void()> work_;
  Due due_{};  // armings begin at 1: of none
};

std::unique_ptr<Executor::Timer> VirtualExecutor::MakeTimer() {
  return std::make_unique<VirtualTimer>(*this);
}

absl::Status VirtualExecutor::Settle() {
  for (uint64_t done = 0;; ++done) {
    const bool timer_due = !armed_.empty() && armed_.begin()->first.first <= now_us_;
    if (posted_.empty() && !timer_due) return absl::OkStatus();
    if (done == work_per_moment_max_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("at ", NowMs(), " ms there is always more to do, after ",
                       work_per_moment_max_, " pieces of work: do streams feed each other?"));
    }
    std::function<void()> work;
    if (!posted_.empty()) {
      work = std::move(posted_.front());
      posted_.pop_front();
    } else {
      work = armed_.begin()->second->TakeWork();
      armed_.erase(armed_.begin());
    }
    work();
  }
}

absl::Status VirtualExecutor::AdvanceTo(TimeMs time_ms) {
  if (time_ms < NowMs()) {
    return absl::InvalidArgumentError(
        absl::StrCat("advance to ", time_ms, " ms: it is ", NowMs(), " ms already"));
  }
  const int64_t end_us = time_ms * 1000;
  for (;;) {
    if (absl::Status status = Settle(); !status.ok()) return status;
    if (armed_.empty() || armed_.begin()->first.first > end_us) break;
    now_us_ = armed_.begin()->first.first;
  }
  now_us_ = std::max(now_us_, end_us);
  return absl::OkStatus();
}

}  // namespace bettong::grid
