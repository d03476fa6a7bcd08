// How many messages a sender may send: so many beyond what is acknowledged, and, by not reading
// on, so many bytes of events. Pure; owned by the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/check.h"

namespace bettong::ingest {

inline constexpr uint64_t kStreamWindowMessages = 32'768;
// With more unacknowledged bytes of events the connection is not read on, until it is half of them.
// (The sender cannot be told: it is allowed a number of messages, whatever their size.)
inline constexpr size_t kStreamWindowBytes = 64u << 20;

class StreamWindow {
 public:
  // A message of a read has come.
  void Receive(uint64_t id, size_t event_bytes) {
    BETTONG_CHECK(id > last_id_);
    last_id_ = id;
    ++received_;
    received_bytes_ += event_bytes;
  }
  void EndRead() {
    if (received_ == noted_) return;
    noted_ = received_;
    reads_.push_back({last_id_, received_, received_bytes_});
  }
  // Every id up to this is done. Within a read: what it says of that read is not counted yet.
  void Acknowledge(uint64_t durable) {
    while (!reads_.empty() && reads_.front().last_id <= durable) {
      acknowledged_ = reads_.front().received;
      acknowledged_bytes_ = reads_.front().received_bytes;
      reads_.pop_front();
    }
  }

  uint64_t allowed() const { return acknowledged_ + kStreamWindowMessages; }
  size_t bytes() const { return received_bytes_ - acknowledged_bytes_; }

 private:
  // Of all messages up to the end of a read. A sender that obeys has no more of these outstanding
  // than it is allowed messages.
  struct Read {
    uint64_t last_id = 0;
    uint64_t received = 0;
    size_t received_bytes = 0;
  };

  std::deque<Read> reads_;
  uint64_t last_id_ = 0;
  uint64_t received_ = 0;
  uint64_t noted_ = 0;  // of received_, in reads_
  size_t received_bytes_ = 0;
  uint64_t acknowledged_ = 0;
  size_t acknowledged_bytes_ = 0;
};

}  // namespace bettong::ingest
