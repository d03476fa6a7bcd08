// What a shard's thread runs on: work posted to it, timers, the clock. Asio's in production
// (asio_executor.h); the simulator has one that decides itself what comes next.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/ids.h"

namespace bettong::grid {

class Executor {
 public:
  // Runs one function, once, on the executor's thread; armed again, only the later one. Destroyed
  // or cancelled, none.
  class Timer {
   public:
    virtual ~Timer() = default;
    virtual void Arm(std::chrono::microseconds delay, std::function<void()> work) = 0;
    virtual void Cancel() = 0;
  };

  virtual ~Executor() = default;
  // From any thread; in order of posting per sender.
  virtual void Post(std::function<void()> work) = 0;
  virtual std::unique_ptr<Timer> MakeTimer() = 0;
  // Wall clock.
  virtual TimeMs NowMs() = 0;
};

}  // namespace bettong::grid
