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

// In the place of a command that new code does not have.
inline constexpr uint16_t kCommandGone = UINT16_MAX;

// A CALL on its way through the lane.
struct PendingCall {
  const CommandSpec* spec = nullptr;
  Ticket ticket;
  uint16_t command = 0;  // of the entity's class
  std::string arguments;
  PendingCall* next = nullptr;  // of the same entity, in order
};

// What waits in a busy key's own queue.
struct WaitingMessage {
  std::unique_ptr<OwnedCommand> command;
  EventBatch* batch = nullptr;  // or an event
  uint32_t item = 0;
  bool first = false;    // an event that goes before the others
  uint16_t retries = 0;  // of the event
  // What becomes of an event that has outlived its handler; null: it has not.
  std::unique_ptr<std::string> letter;
  std::unique_ptr<PendingCall> call;  // or a CALL that the lane has given back
  bool image = false;                 // or the checkpoint, which wants the value's image

  // May run while the entity is lent: it is only lent once more.
  bool lends() const {
    return batch != nullptr || call != nullptr || (command != nullptr && command->lends());
  }
  const Ticket* ticket() const {
    if (command != nullptr) return &command->ticket;
    return call != nullptr ? &call->ticket : nullptr;
  }
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
    if (const Ticket* ticket = message.ticket()) counts_.Add(*ticket);
    if (!message.first) return messages_.push_back(std::move(message));
    const auto others =
        std::find_if(messages_.begin() + static_cast<ptrdiff_t>(returned_), messages_.end(),
                     [](const WaitingMessage& each) { return !each.first; });
    messages_.insert(others, std::move(message));
  }
  // What had been lent already, and so comes before all that was not: behind earlier ones of these.
  void PushReturned(WaitingMessage message) {
    if (const Ticket* ticket = message.ticket()) counts_.Add(*ticket);
    messages_.insert(messages_.begin() + static_cast<ptrdiff_t>(returned_++), std::move(message));
  }
  WaitingMessage Pop() {
    WaitingMessage message = std::move(messages_.front());
    messages_.pop_front();
    if (returned_ > 0) --returned_;
    if (const Ticket* ticket = message.ticket()) counts_.Remove(*ticket);
    return message;
  }
  // How many wanted an image; they are out of the queue.
  size_t TakeImages() {
    return std::erase_if(messages_, [](const WaitingMessage& message) { return message.image; });
  }
  const WaitingMessage& front() const { return messages_.front(); }
  bool empty() const { return messages_.empty(); }
  bool Has(const Ticket& ticket) const { return counts_.Has(ticket); }
  template <typename Visit>
  void ForEach(const Visit& visit) {
    for (WaitingMessage& message : messages_) visit(message);
  }

 private:
  std::deque<WaitingMessage> messages_;
  size_t returned_ = 0;  // of these, at the front; never images
  CommandCounts counts_;
};

// Many of them are under way at a time: what the shard looks at again when a loan comes back is one
// line of memory, and what the lane writes (the row) lies apart from it.
struct LoanState {
  EntryId entry;
  uint32_t outstanding = 0;
  ClassId entity_class;
  bool recheck_deadline = false;  // its wheel record came up while it was lent
  bool recheck_alarms = false;    // an alarm has rung, maybe early, and no turn has seen to it
  // A turn of it is to be tried again then. Meanwhile all else of the key waits behind it, though
  // nothing is lent once `outstanding` is 0.
  TimeMs retry_at_ms = kNeverExpires;
  std::unique_ptr<WaitingQueue> waiting;  // null or not empty
  PendingCall* calls = nullptr;           // lent, oldest first; owned
  PendingCall* last_call = nullptr;       // good while `calls` is not null
  size_t row_capacity = 0;
  alignas(64) WorkingRow row;
  CommandCounts call_counts;

  void Wait(WaitingMessage message) {
    if (waiting == nullptr) waiting = std::make_unique<WaitingQueue>();
    waiting->Push(std::move(message));
  }
  void WaitReturned(WaitingMessage message) {
    if (waiting == nullptr) waiting = std::make_unique<WaitingQueue>();
    waiting->PushReturned(std::move(message));
  }
  // It backs off: the lane has nothing of it.
  bool rests() const { return retry_at_ms != kNeverExpires && outstanding == 0; }
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
