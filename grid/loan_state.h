// A lent entity, as its shard keeps track of it, and the queue of what waits for its return.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "base/ids.h"
#include "grid/command.h"
#include "grid/loan.h"
#include "grid/message.h"
#include "grid/owned_command.h"

namespace bettong::grid {

// A CALL on its way through the lane.
struct PendingCall {
  const CommandSpec* spec = nullptr;
  Ticket ticket;
  std::string arguments;
  PendingCall* next = nullptr;  // of the same entity, in order
};

// What waits in a busy key's own queue.
struct WaitingMessage {
  std::unique_ptr<OwnedCommand> command;
  EventBatch* batch = nullptr;  // or an event
  uint32_t item = 0;
  bool image = false;  // or the checkpoint, which wants the value's image
  bool first = false;  // an event that goes before the others
};

// How many commands of each connection there are.
class CommandCounts {
 public:
  void Add(const Ticket& ticket) { ++counts_[KeyOf(ticket)]; }
  void Remove(const Ticket& ticket) {
    auto at = counts_.find(KeyOf(ticket));
    if (--at->second == 0) counts_.erase(at);
  }
  bool Has(const Ticket& ticket) const {
    return !counts_.empty() && counts_.contains(KeyOf(ticket));
  }

 private:
  using Key = std::pair<uint64_t, uint16_t>;
  static Key KeyOf(const Ticket& ticket) {
    return {ticket.connection.value(), ticket.home.value()};
  }
  absl::flat_hash_map<Key, uint32_t> counts_;
};

class WaitingQueue {
 public:
  void Push(WaitingMessage message) {
    if (message.command != nullptr) counts_.Add(message.command->ticket);
    if (!message.first) return messages_.push_back(std::move(message));
    const auto others = std::find_if(messages_.begin(), messages_.end(),
                                     [](const WaitingMessage& each) { return !each.first; });
    messages_.insert(others, std::move(message));
  }
  WaitingMessage Pop() {
    WaitingMessage message = std::move(messages_.front());
    messages_.pop_front();
    if (message.command != nullptr) counts_.Remove(message.command->ticket);
    return message;
  }
  const WaitingMessage& front() const { return messages_.front(); }
  bool empty() const { return messages_.empty(); }
  bool Has(const Ticket& ticket) const { return counts_.Has(ticket); }

 private:
  std::deque<WaitingMessage> messages_;
  CommandCounts counts_;
};

// Many of them are under way at a time: small, and what the lane writes (the row) lies apart from
// what the shard writes.
struct LoanState {
  EntryId entry;
  uint32_t outstanding = 0;
  bool recheck_deadline = false;          // its wheel record came up while it was lent
  std::unique_ptr<WaitingQueue> waiting;  // null or not empty
  PendingCall* calls = nullptr;           // lent, oldest first; owned
  PendingCall* last_call = nullptr;       // good while `calls` is not null
  CommandCounts call_counts;
  size_t row_capacity = 0;
  alignas(64) WorkingRow row;

  void Wait(WaitingMessage message) {
    if (waiting == nullptr) waiting = std::make_unique<WaitingQueue>();
    waiting->Push(std::move(message));
  }
  void AddCall(PendingCall* call) {
    (calls == nullptr ? calls : last_call->next) = call;
    last_call = call;
    call_counts.Add(call->ticket);
  }
  std::unique_ptr<PendingCall> TakeCall() {
    std::unique_ptr<PendingCall> call(calls);
    if (call != nullptr) {
      calls = call->next;
      call_counts.Remove(call->ticket);
    }
    return call;
  }
  // Whether an earlier command of the connection is still to be done.
  bool HasWaiting(const Ticket& of) const {
    return call_counts.Has(of) || (waiting != nullptr && waiting->Has(of));
  }
};

}  // namespace bettong::grid
