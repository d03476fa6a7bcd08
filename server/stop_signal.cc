#include "server/stop_signal.h"

#include <unistd.h>
#include <csignal>
#include <utility>

#include "base/log.h"

namespace bettong::server {
namespace {

// Internal wake-up of the watcher; SIGUSR2 means nothing else here.
constexpr int kWake = SIGUSR2;

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, kWake}) sigaddset(&set, signal);
  return set;
}

}  // namespace

StopSignal::StopSignal() {
  // Errors of write tell.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  watcher_ = std::thread([this] { Watch(); });
}

StopSignal::~StopSignal() {
  done_ = true;
  pthread_kill(watcher_.native_handle(), kWake);
  watcher_.join();
}

void StopSignal::Raise() {
  raised_ = true;
  raised_.notify_all();
}

void StopSignal::Wait() { raised_.wait(false); }

void StopSignal::ArmLimit() {
  if (armed_.exchange(true)) return;
  pthread_kill(watcher_.native_handle(), kWake);  // to start the limit's clock
}

void StopSignal::Watch() {
  sigset_t set = StopSignals();
  bool signalled = false;
  auto limit = std::chrono::steady_clock::time_point::max();
  for (;;) {
    timespec wait{3600, 0};
    if (armed_) {
      if (limit == std::chrono::steady_clock::time_point::max()) {
        limit = std::chrono::steady_clock::now() + kStopLimit - std::chrono::milliseconds(300);
      }
      auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
          limit - std::chrono::steady_clock::now());
      if (left.count() <= 0) {
        LogError("node", "the orderly end took too long; ending now");
        _exit(kExitForced);
      }
      wait = timespec{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
    }
    int signal = sigtimedwait(&set, nullptr, &wait);
    if (done_) return;
    if (signal != SIGTERM && signal != SIGINT) continue;
    if (std::exchange(signalled, true)) {
      LogWarning("node", "second signal; ending now");
      _exit(kExitForced);
    }
    Raise();
  }
}

}  // namespace bettong::server
