#include "protocol/reply_queue.h"

#include <utility>

#include "base/check.h"

namespace bettong::protocol {

ReplyQueue::Slot& ReplyQueue::SlotOf(uint64_t sequence) {
  BETTONG_CHECK(sequence >= next_ && sequence < issued_);
  const size_t index = static_cast<size_t>(sequence - next_);
  if (slots_.size() <= index) slots_.resize(index + 1);
  return slots_[index];
}

Gather& ReplyQueue::Expect(uint64_t sequence, std::unique_ptr<Gather> gather) {
  Slot& slot = SlotOf(sequence);
  slot.gather = std::move(gather);
  slot.gather->parts_missing = slot.gather->parts.size();
  return *slot.gather;
}

Gather* ReplyQueue::PutSlow(const grid::Ticket& ticket, std::string_view bytes) {
  if (ticket.sequence < next_) return nullptr;
  Slot& slot = SlotOf(ticket.sequence);
  if (slot.ready) return nullptr;
  if (slot.gather == nullptr) {
    Finish(ticket.sequence, bytes);
    return nullptr;
  }
  Gather& gather = *slot.gather;
  BETTONG_CHECK(ticket.part < gather.parts.size());
  gather.Take(ticket.part, bytes);
  --gather.parts_missing;
  const bool complete = gather.parts_missing == 0 || (gather.first_wins && !IsNullReply(bytes));
  return complete ? &gather : nullptr;
}

void ReplyQueue::Finish(uint64_t sequence, std::string_view bytes) {
  if (sequence == next_ && slots_.empty()) {
    out_.append(bytes);
    ++next_;
    return;
  }
  Slot& slot = SlotOf(sequence);
  if (sequence != next_) {
    slot.ready = true;
    slot.gather.reset();
    if (!slot.discard) slot.bytes.assign(bytes);
    held_bytes_ += slot.bytes.size();
    return;
  }
  if (!slot.discard) out_.append(bytes);
  slots_.pop_front();
  ++next_;
  while (!slots_.empty() && slots_.front().ready) {
    out_.append(slots_.front().bytes);
    held_bytes_ -= slots_.front().bytes.size();
    slots_.pop_front();
    ++next_;
  }
}

}  // namespace bettong::protocol
