// A clock that stands still until it is told to go on, and what runs under it: posted work at once,
// timers at exactly their moment. Everything that is driven by one such executor runs on one
// thread, in an order that is the same each time.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "grid/runtime/executor.h"

namespace bettong::grid {

// Work that is still posting more after so much of it, with the clock at one moment, will not end.
inline constexpr uint64_t kWorkPerMomentMax = 1'000'000;

class VirtualExecutor final : public Executor {
 public:
  explicit VirtualExecutor(TimeMs now_ms, uint64_t work_per_moment_max = kWorkPerMomentMax)
      : now_us_(now_ms * 1000), work_per_moment_max_(work_per_moment_max) {}

  // On the executor's one thread.
  void Post(std::function<void()> work) override { posted_.push_back(std::move(work)); }
  // Must not outlive the executor.
  std::unique_ptr<Timer> MakeTimer() override;
  TimeMs NowMs() override { return now_us_ / 1000; }

  // Runs what is posted or due now, and what that posts, until nothing is left. An error: it goes
  // on for ever; the rest stays where it is.
  absl::Status Settle();
  // Goes to that time by way of every timer before it, settling at each moment. A time that is over
  // already is an error.
  absl::Status AdvanceTo(TimeMs time_ms);

 private:
  class VirtualTimer;
  // When, and in order of arming.
  using Due = std::pair<int64_t, uint64_t>;

  int64_t now_us_;
  const uint64_t work_per_moment_max_;
  std::deque<std::function<void()>> posted_;
  std::map<Due, VirtualTimer*> armed_;
  uint64_t armings_ = 0;
};

}  // namespace bettong::grid
