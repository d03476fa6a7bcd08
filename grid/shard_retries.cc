// Turns that have failed and are tried again (docs/dead-letters.md). The lane says so in its result
// and gives back unrun what was lent behind that turn, so that the order of the key's messages
// stays. When all of it is back the entity rests: it counts as lent, its queue is what waits, in
// order, and nobody is at it. When the time has come everything in the queue is lent again.
#include <algorithm>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/image_cursor.h"
#include "grid/shard_impl.h"

namespace bettong::grid {

void Shard::Impl::OnRetry(const LoanResult& result) {
  LoanState& state = LoanOf(table_.at(result.entry));
  BETTONG_CHECK(IsEventTurn(result.kind) && state.retry_at_ms == kNeverExpires);
  const auto& batch = *static_cast<EventBatch*>(result.token);
  const bool now = retries_end_ && !ComesAgain(batch.items[result.item]);
  BETTONG_SOMETIMES(turn_to_be_retried);
  state.retry_at_ms = now_ms_ + (now ? 0 : result.retry_after_ms);
  state.WaitReturned(WaitingMessage{.command = nullptr,
                                    .batch = static_cast<EventBatch*>(result.token),
                                    .item = result.item,
                                    .retries = static_cast<uint16_t>(result.retries + 1)});
}

void Shard::Impl::OnReturned(const LoanResult& result) {
  LoanState& state = LoanOf(table_.at(result.entry));
  BETTONG_SOMETIMES(returned_behind_a_retry);
  WaitingMessage message;
  switch (result.kind) {
    case TurnKind::kEvent:
    case TurnKind::kMessage:
      message.batch = static_cast<EventBatch*>(result.token);
      message.item = result.item;
      break;
    case TurnKind::kCall:
      message.call = state.TakeCall();
      BETTONG_CHECK(message.call.get() == result.token);
      break;
    case TurnKind::kDue:
      state.recheck_alarms = true;
      return;
    case TurnKind::kExpire:
      state.recheck_deadline = true;
      return;
    default:
      BETTONG_CHECK(false);
  }
  state.WaitReturned(std::move(message));
}

void Shard::Impl::Rest(EntryId id) {
  LoanState& state = LoanOf(table_.at(id));
  for (size_t images = state.waiting->TakeImages(); images > 0; --images) WriteAwaitedImage(id);
  retries_.Add(state.retry_at_ms, id);
  stats_.retries_pending = retries_.size();
}

void Shard::Impl::RetryDue() {
  for (size_t left = kRetriesSlice; left > 0 && retries_.NextDue() <= now_ms_; --left) {
    RetryNow(retries_.Take());
  }
}

void Shard::Impl::RetryNow(EntryId id) {
  stats_.retries_pending = retries_.size();
  Entry* entry = table_.at(id);
  LoanState& state = LoanOf(entry);
  state.retry_at_ms = kNeverExpires;
  std::unique_ptr<WaitingQueue> waiting = std::move(state.waiting);
  const std::string redis_key(entry->key());
  Release(id);
  RunWaiting(redis_key, std::move(waiting));
}

void Shard::EndRetries() { impl_->EndRetries(); }

void Shard::Impl::EndRetries() {
  retries_end_ = true;
  Retries later = std::exchange(retries_, {});
  while (later.size() > 0) {
    const TimeMs at_ms = later.NextDue();
    const EntryId id = later.Take();
    LoanState& state = LoanOf(table_.at(id));
    const WaitingMessage& first = state.waiting->front();
    const bool now = !ComesAgain(first.batch->items[first.item]);
    state.retry_at_ms = now ? now_ms_ : at_ms;
    retries_.Add(state.retry_at_ms, id);
  }
}

}  // namespace bettong::grid
