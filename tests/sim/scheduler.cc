#include "tests/sim/scheduler.h"

#include <utility>

namespace bettong::sim {

void Scheduler::After(uint64_t delay_us, uint32_t who, const std::shared_ptr<bool>& alive,
                      std::function<void()> run) {
  tasks_.push(Task{now_us_ + delay_us, random_(), ++numbers_, who, alive,
                   std::make_shared<std::function<void()>>(std::move(run))});
}

bool Scheduler::Step() {
  while (!tasks_.empty()) {
    Task task = tasks_.top();
    tasks_.pop();
    const std::shared_ptr<bool> alive = task.alive.lock();
    if (alive == nullptr) continue;
    now_us_ = std::max(now_us_, task.at_us);
    ++steps_;
    Trace(now_us_ * 64 + task.who);
    (*task.run)();
    return true;
  }
  return false;
}

SimExecutor::SimExecutor(Scheduler& scheduler, uint32_t who) : scheduler_(scheduler), who_(who) {}

void SimExecutor::Post(std::function<void()> work) {
  posted_.push_back(std::move(work));
  Schedule();
}

void SimExecutor::Schedule() {
  if (scheduled_ || posted_.empty()) return;
  scheduled_ = true;
  // Mostly at once; now and then the thread is not given the core for a while.
  const uint64_t delay_us = scheduler_.OneIn(50) ? scheduler_.Below(20'000) : scheduler_.Below(40);
  scheduler_.After(delay_us, who_, alive_, [this] { RunOne(); });
}

void SimExecutor::RunOne() {
  scheduled_ = false;
  std::function<void()> work = std::move(posted_.front());
  posted_.pop_front();
  Schedule();
  work();
}

class SimExecutor::SimTimer final : public grid::Executor::Timer {
 public:
  explicit SimTimer(SimExecutor& executor) : executor_(executor) {}

  void Arm(std::chrono::microseconds delay, std::function<void()> work) override {
    armed_ = std::make_shared<bool>(true);
    std::weak_ptr<bool> armed = armed_;
    SimExecutor& executor = executor_;
    executor_.scheduler_.After(static_cast<uint64_t>(delay.count()), executor_.who_, armed_,
                               [&executor, armed, work = std::move(work)] {
                                 executor.Post([armed, work] {
                                   if (armed.lock() != nullptr) work();
                                 });
                               });
  }
  void Cancel() override { armed_.reset(); }

 private:
  SimExecutor& executor_;
  std::shared_ptr<bool> armed_;
};

std::unique_ptr<grid::Executor::Timer> SimExecutor::MakeTimer() {
  return std::make_unique<SimTimer>(*this);
}

}  // namespace bettong::sim
