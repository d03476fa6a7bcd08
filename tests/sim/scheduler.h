// The simulator's time and order: everything that happens is a task at a moment of virtual time,
// and what happens next is decided by the seed alone. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <vector>

#include "grid/runtime/executor.h"

namespace bettong::sim {

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed) : random_(seed) {}

  // From 0 to n - 1.
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  uint64_t Between(uint64_t least, uint64_t most) { return least + Below(most - least + 1); }

  uint64_t now_us() const { return now_us_; }
  TimeMs NowMs() const { return kEpochMs + static_cast<TimeMs>(now_us_ / 1000); }

  // Runs the task after so long, unless `alive` is gone by then. `who` goes into the trace.
  void After(uint64_t delay_us, uint32_t who, const std::shared_ptr<bool>& alive,
             std::function<void()> run);
  // Runs the next task; false: there is none.
  bool Step();
  // Time passes though nothing happens.
  void SkipTo(uint64_t us) { now_us_ = std::max(now_us_, us); }
  uint64_t next_us() const { return tasks_.empty() ? UINT64_MAX : tasks_.top().at_us; }

  // A hash of everything that has happened: two runs with one seed have the same.
  uint64_t trace() const { return trace_; }
  void Trace(uint64_t what) { trace_ = (trace_ ^ what) * 0x9e3779b97f4a7c15u + (trace_ >> 29); }
  uint64_t steps() const { return steps_; }

 private:
  static constexpr TimeMs kEpochMs = 1'700'000'000'000;

  struct Task {
    uint64_t at_us;
    uint64_t tie;  // random, then by number
    uint64_t number;
    uint32_t who;
    std::weak_ptr<bool> alive;
    std::shared_ptr<std::function<void()>> run;
    bool operator<(const Task& other) const {
      return std::tie(at_us, tie, number) > std::tie(other.at_us, other.tie, other.number);
    }
  };

  std::mt19937_64 random_;
  std::priority_queue<Task> tasks_;
  uint64_t now_us_ = 0;
  uint64_t numbers_ = 0;
  uint64_t trace_ = 0;
  uint64_t steps_ = 0;
};

// What stands for a shard's thread: posted work runs in order, at random moments.
class SimExecutor final : public grid::Executor {
 public:
  SimExecutor(Scheduler& scheduler, uint32_t who);

  void Post(std::function<void()> work) override;
  std::unique_ptr<Timer> MakeTimer() override;
  TimeMs NowMs() override { return scheduler_.NowMs(); }

 private:
  class SimTimer;
  void RunOne();
  void Schedule();

  Scheduler& scheduler_;
  const uint32_t who_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::deque<std::function<void()>> posted_;
  bool scheduled_ = false;
};

}  // namespace bettong::sim
