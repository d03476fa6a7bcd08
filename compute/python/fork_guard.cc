#include "compute/python/fork_guard.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

namespace bettong::compute::python {
namespace {

// In the child only one thread is left, which goes on where the parent forked.
std::atomic<bool>& Forked() {
  static std::atomic<bool> forked{false};
  return forked;
}

}  // namespace

void WatchForks() {
  Forked();
  pthread_atfork(nullptr, nullptr, [] { Forked().store(true, std::memory_order_relaxed); });
}

bool IsForkedChild() { return Forked().load(std::memory_order_relaxed); }

void EndForkedChild(const std::string& method) {
  std::fprintf(stderr,
               "bettong: %s has forked, and the child has come back from it; the child ends with "
               "code %d. End it with os._exit(), or start it with subprocess\n",
               method.c_str(), kForkedChildExitCode);
  _exit(kForkedChildExitCode);
}

}  // namespace bettong::compute::python
