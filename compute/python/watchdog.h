// Ends turns that run too long. A monitor thread, which never waits for Python, watches how long
// the lane's current turn has been running; after the time limit a second thread takes the GIL and
// raises HandlerTimeout in the lane, every 100 ms until the turn is over. What cannot be
// interrupted (C code that does not return, Python code that catches every HandlerTimeout) is
// warned of once on stderr, and ends the process after the hard limit, with all stacks there.
//
// A turn here is any stretch of user code: the method, the text of its exception, and the
// destructors of what it leaves behind have the time limit each.
#pragma once

#include "compute/python/ref.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace bettong::compute::python {

inline constexpr int kHardLimitExitCode = 70;

class Watchdog {
 public:
  struct Options {
    int64_t timeout_ms = 1000;  // 0: off
    int64_t hard_limit_ms = 0;  // 0: ten times the timeout
  };

  // `lane` is PyThread_get_thread_ident() of the watched thread; `exception` is borrowed.
  Watchdog(const Options& options, unsigned long lane, PyObject* exception);
  ~Watchdog();  // without the GIL

  // On the lane, with the GIL. `what` must stay valid until the turn ends.
  void TurnBegins(const std::string* what) {
    what_.store(what, std::memory_order_relaxed);
    turn_.store(++count_, std::memory_order_release);
  }
  void TurnEnds() {
    uint64_t ended = count_++;
    turn_.store(count_, std::memory_order_release);
    if (interrupted_ == ended) DropStray();
  }

  int64_t timeout_ms() const { return options_.timeout_ms; }

 private:
  void Monitor();
  void Interrupt();
  void DropStray();
  void Warn(int64_t elapsed_ms) const;
  [[noreturn]] void EndProcess(int64_t elapsed_ms);

  const Options options_;
  const unsigned long lane_;
  PyObject* const exception_;

  uint64_t count_ = 0;             // lane only; odd while a turn runs
  uint64_t interrupted_ = 0;       // guarded by the GIL: the turn that was last interrupted
  std::atomic<uint64_t> turn_{0};  // count_, for the other threads
  std::atomic<const std::string*> what_{nullptr};

  std::mutex mutex_;
  std::condition_variable wake_;
  uint64_t wanted_ = 0;  // the turn to interrupt; 0: none
  bool stop_ = false;
  std::thread monitor_, interrupter_;
};

}  // namespace bettong::compute::python
