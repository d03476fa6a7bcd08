// An eventfd that librdkafka adds to when one of its queues has something, and others to wake who
// waits for that. Wake from any thread, the rest on the one that waits.
#pragma once

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>

#include "base/check.h"

namespace bettong::ingest {

class WakeDescriptor {
 public:
  WakeDescriptor() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    BETTONG_CHECK(descriptor_ >= 0);
  }
  ~WakeDescriptor() {
    if (owned_) ::close(descriptor_);
  }
  WakeDescriptor(const WakeDescriptor&) = delete;
  WakeDescriptor& operator=(const WakeDescriptor&) = delete;

  // For somebody who closes it.
  int Give() {
    owned_ = false;
    return descriptor_;
  }
  void WakeFrom(rd_kafka_queue_t* queue) const {
    rd_kafka_queue_io_event_enable(queue, descriptor_, &kOne, sizeof(kOne));
  }
  void Wake() const {
    [[maybe_unused]] const ssize_t written = ::write(descriptor_, &kOne, sizeof(kOne));
  }
  // What woke is over.
  void Clear() const {
    uint64_t count;
    [[maybe_unused]] const ssize_t read = ::read(descriptor_, &count, sizeof(count));
  }
  void Wait(std::chrono::milliseconds at_most) const {
    pollfd wake{.fd = descriptor_, .events = POLLIN, .revents = 0};
    if (::poll(&wake, 1, static_cast<int>(at_most.count())) > 0) Clear();
  }

 private:
  static constexpr uint64_t kOne = 1;
  const int descriptor_;
  bool owned_ = true;
};

}  // namespace bettong::ingest
