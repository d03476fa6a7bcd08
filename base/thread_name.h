// Names the calling thread for top, gdb and perf (15 characters at most).
#pragma once

#include <csignal>
#include <functional>
#include <thread>
#include <utility>

#include <pthread.h>

#include <string>

namespace bettong {

inline void NameThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

// A thread that no signal of the process interrupts: those are the main thread's.
inline std::thread StartQuietThread(std::function<void()> run) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(run));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace bettong
