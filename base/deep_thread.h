// A thread with a stack of its own size. The stack is memory only where it has been used; where
// the system has no room for it the thread has one of the usual size.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "base/check.h"

namespace bettong {

class DeepThread {
 public:
  DeepThread(size_t stack_bytes, std::function<void()> run) {
    auto own = std::make_unique<std::function<void()>>(std::move(run));
    pthread_attr_t attributes;
    BETTONG_CHECK(pthread_attr_init(&attributes) == 0);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    int failed = pthread_create(&thread_, &attributes, Run, own.get());
    if (failed != 0) failed = pthread_create(&thread_, nullptr, Run, own.get());
    pthread_attr_destroy(&attributes);
    BETTONG_CHECK(failed == 0);
    own.release();
  }
  ~DeepThread() { BETTONG_CHECK(!joinable_); }
  DeepThread(const DeepThread&) = delete;
  DeepThread& operator=(const DeepThread&) = delete;

  bool joinable() const { return joinable_; }
  void join() {
    BETTONG_CHECK(pthread_join(thread_, nullptr) == 0);
    joinable_ = false;
  }

 private:
  static void* Run(void* run) {
    const std::unique_ptr<std::function<void()>> own(static_cast<std::function<void()>*>(run));
    (*own)();
    return nullptr;
  }

  pthread_t thread_{};
  bool joinable_ = true;
};

// Of the calling thread, used or not.
inline size_t ThreadStackBytes() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  void* lowest = nullptr;
  size_t bytes = 0;
  pthread_attr_getstack(&attributes, &lowest, &bytes);
  pthread_attr_destroy(&attributes);
  return bytes;
}

}  // namespace bettong
