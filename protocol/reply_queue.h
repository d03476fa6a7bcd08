// Puts the replies of one connection in the order of its commands. Replies of commands that ran on
// the connection's own shard come in order and are appended to the output as they are; what comes
// out of order waits in a slot of its command. Used on the connection's shard's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "grid/command.h"
#include "protocol/gather.h"

namespace bettong::protocol {

class ReplyQueue {
 public:
  explicit ReplyQueue(std::string& out) : out_(out) {}

  // The number of the next command.
  uint64_t Issue() { return issued_++; }
  // The command's reply comes in parts; Put hands the gather back when they are all in.
  Gather& Expect(uint64_t sequence, std::unique_ptr<Gather> gather);
  // The command's reply is not to be sent (CLIENT REPLY).
  void Discard(uint64_t sequence, bool discard = true) { SlotOf(sequence).discard = discard; }

  // Takes a reply or a part of one. Answers the gather that this part completed: its owner merges
  // it and calls Finish. Replies of commands that are answered already are ignored.
  Gather* Put(const grid::Ticket& ticket, std::string_view bytes) {
    if (ticket.sequence == next_ && slots_.empty()) {
      out_.append(bytes);
      ++next_;
      return nullptr;
    }
    return PutSlow(ticket, bytes);
  }
  // The reply of a command, whole; ends its gather.
  void Finish(uint64_t sequence, std::string_view bytes);

  // Bytes of replies that wait for an earlier command's.
  size_t held_bytes() const { return held_bytes_; }
  // Commands without a reply so far.
  size_t outstanding() const { return static_cast<size_t>(issued_ - next_); }
  bool idle() const { return issued_ == next_; }

 private:
  struct Slot {
    bool ready = false;
    bool discard = false;
    std::string bytes;
    std::unique_ptr<Gather> gather;
  };

  Slot& SlotOf(uint64_t sequence);
  Gather* PutSlow(const grid::Ticket& ticket, std::string_view bytes);

  std::string& out_;
  std::deque<Slot>
      slots_;          // slots_[i] is that of command next_ + i; may be shorter than outstanding()
  uint64_t next_ = 1;  // the command whose reply goes out next
  uint64_t issued_ = 1;
  size_t held_bytes_ = 0;
};

}  // namespace bettong::protocol
