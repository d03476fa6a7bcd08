#include "compute/python/watchdog.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace bettong::compute::python {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kRefire{100};
// A turn that has not ended so long after its time limit does not react to the interruption.
constexpr milliseconds kReaction{200};

// What faulthandler uses; not in the public headers.
using DumpThreads = const char* (*)(int fd, PyInterpreterState* interpreter,
                                    PyThreadState* current);

}  // namespace

Watchdog::Watchdog(const Options& options, unsigned long lane, PyObject* exception)
    : options_{options.timeout_ms,
               options.hard_limit_ms > 0 ? options.hard_limit_ms : options.timeout_ms * 10},
      lane_(lane),
      exception_(exception) {
  if (options_.timeout_ms <= 0) return;
  monitor_ = std::thread(&Watchdog::Monitor, this);
  interrupter_ = std::thread(&Watchdog::Interrupt, this);
}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (monitor_.joinable()) monitor_.join();
  if (interrupter_.joinable()) interrupter_.join();
}

void Watchdog::Monitor() {
  const milliseconds period(std::clamp<int64_t>(options_.timeout_ms / 10, 1, 50));
  const milliseconds timeout(options_.timeout_ms), hard_limit(options_.hard_limit_ms);
  // In any case before the end.
  const milliseconds warning = timeout + std::min(kReaction, (hard_limit - timeout) / 2);
  uint64_t seen = 0;
  uint64_t warned = 0;
  Clock::time_point seen_at, fired_at;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, period, [this] { return stop_; })) {
    uint64_t turn = turn_.load(std::memory_order_acquire);
    Clock::time_point now = Clock::now();
    if (turn % 2 == 0 || turn != seen) {
      seen = turn;
      seen_at = now;
      fired_at = {};
      continue;
    }
    auto elapsed = now - seen_at;
    if (elapsed >= hard_limit) {
      EndProcess(std::chrono::duration_cast<milliseconds>(elapsed).count());
    }
    if (elapsed >= warning && warned != turn) {
      warned = turn;
      Warn(std::chrono::duration_cast<milliseconds>(elapsed).count());
    }
    if (elapsed >= timeout && now - fired_at >= kRefire) {
      fired_at = now;
      wanted_ = turn;
      wake_.notify_all();
    }
  }
}

void Watchdog::Interrupt() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || wanted_ != 0; });
    if (stop_) return;
    uint64_t turn = std::exchange(wanted_, 0);
    lock.unlock();
    // May wait as long as C code keeps the GIL; the monitor goes on meanwhile.
    PyGILState_STATE gil = PyGILState_Ensure();
    if (turn_.load(std::memory_order_acquire) == turn) {
      interrupted_ = turn;
      PyThreadState_SetAsyncExc(lane_, exception_);
    }
    PyGILState_Release(gil);
    lock.lock();
  }
}

void Watchdog::DropStray() { PyThreadState_SetAsyncExc(lane_, nullptr); }

void Watchdog::Warn(int64_t elapsed_ms) const {
  const std::string* what = what_.load(std::memory_order_relaxed);
  LogWarning(
      "python",
      absl::StrCat(what == nullptr ? "a handler" : *what, " has been running for ", elapsed_ms,
                   " ms and does not react to HandlerTimeout: it is in C code, or catches "
                   "everything. All Python turns wait for it; at handler_hard_limit, ",
                   options_.hard_limit_ms, " ms, the process ends"));
}

void Watchdog::EndProcess(int64_t elapsed_ms) {
  const std::string* what = what_.load(std::memory_order_relaxed);
  std::fprintf(
      stderr,
      "bettong: %s has been running for %lld ms and cannot be interrupted (stuck in C code, or "
      "catching HandlerTimeout); ending the process with code %d. Stacks:\n",
      what == nullptr ? "a handler" : what->c_str(), static_cast<long long>(elapsed_ms),
      kHardLimitExitCode);
  std::fflush(stderr);
  if (auto dump = reinterpret_cast<DumpThreads>(dlsym(RTLD_DEFAULT, "_Py_DumpTracebackThreads"))) {
    dump(STDERR_FILENO, PyInterpreterState_Main(), nullptr);
  }
  _exit(kHardLimitExitCode);
}

}  // namespace bettong::compute::python
