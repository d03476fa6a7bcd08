// TurnRunner: rate limits of handlers. The bucket is a hidden field of the row: what a turn takes
// from it is part of the turn's changes, and of nothing when the turn fails.
#include "base/bytes.h"
#include "compute/result_sink.h"
#include "compute/turn_runner.h"
#include "grid/change.h"

namespace bettong::compute {

using grid::ClassSchema;
using grid::Loan;
using grid::LoanResult;
using grid::RateLimit;
using grid::RateState;

namespace {

char* StateOf(const Loan& loan, const ClassSchema& entity_class) {
  const RateLimit& limit = entity_class.handlers[loan.index].limit;
  return loan.row->row.get() + entity_class.row.fields[limit.field].offset;
}

// "100 events of a key in 1000 ms"
std::string RateText(const RateLimit& limit) {
  return std::to_string(limit.count) + " events of a key in " + std::to_string(limit.per_ms) +
         " ms";
}

}  // namespace

bool TurnRunner::TakeToken(const Loan& loan, ResultSink& sink, LoanResult& result) {
  const ClassSchema& entity_class = catalog_->classes[loan.entity_class.value()];
  const grid::HandlerSchema& handler = entity_class.handlers[loan.index];
  char* at = StateOf(loan, entity_class);
  token_undo_ = LoadUnaligned<RateState>(at);
  RateState state = token_undo_;
  const bool by_event = entity_class.clock == grid::TtlClock::kEvent;
  if (handler.limit.Take(state, by_event ? loan.event->time_ms : loan.now_ms)) {
    StoreUnaligned(at, state);
    return true;
  }
  CountersOf(loan, handler.method).over_limit.Add(1);
  if (handler.limit.over == RateLimit::Over::kDeadLetter) {
    TurnCall call;
    call.event = loan.event;
    call.error.message = "RateLimit: the handler takes no more than " + RateText(handler.limit);
    sink.Begin();
    DeadLetter(loan, handler.method, call, sink, result);
  }
  return false;
}

void TurnRunner::AddToken(const Loan& loan) {
  const ClassSchema& entity_class = catalog_->classes[loan.entity_class.value()];
  const size_t field = entity_class.handlers[loan.index].limit.field;
  delta_.clear();
  ByteWriter out(delta_);
  out.Varint(1);
  out.Varint(field);
  entity_class.row.EncodeField(loan.row->row.get(), field, delta_);
  AddDelta(delta_);
}

void TurnRunner::GiveTokenBack(const Loan& loan) {
  StoreUnaligned(StateOf(loan, catalog_->classes[loan.entity_class.value()]), token_undo_);
}

}  // namespace bettong::compute
