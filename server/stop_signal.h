// SIGTERM and SIGINT: the first asks for an orderly end, a second one ends the process at once. A
// request that came in another way (Raise) is no signal: the first signal after it changes nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace bettong::server {

// An orderly end may take so long; then the process ends anyway.
inline constexpr std::chrono::seconds kStopLimit{5};
inline constexpr int kExitForced = 130;

class StopSignal {
 public:
  // Blocks the signals for this thread and those it starts, and watches them on one of its own.
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // As if the signal had come. From any thread.
  void Raise();
  // Until the first signal.
  void Wait();
  bool raised() const { return raised_.load(); }
  // The orderly end begins: kStopLimit from the first call, the process ends at once.
  void ArmLimit();

 private:
  void Watch();

  std::atomic<bool> raised_{false};
  std::atomic<bool> armed_{false};
  std::atomic<bool> done_{false};
  std::thread watcher_;
};

}  // namespace bettong::server
