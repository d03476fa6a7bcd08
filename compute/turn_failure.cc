// TurnRunner: what becomes of a turn that has failed and been taken back, by the policy of its
// handler or its class (docs/dead-letters.md).
#include "base/check.h"
#include "compute/result_sink.h"
#include "compute/turn_runner.h"
#include "grid/dead_letter.h"
#include "grid/entity_message.h"
#include "grid/event.h"
#include "grid/tagged.h"

namespace bettong::compute {

using grid::ClassSchema;
using grid::FailurePolicy;
using grid::Loan;
using grid::LoanOutcome;
using grid::LoanResult;
using grid::TurnKind;

namespace {

std::string MessageOf(const grid::Timer& timer, const ClassSchema& entity_class,
                      std::string_view key) {
  std::string arguments, json;
  grid::TaggedReader reader(timer.arguments);
  timer.arguments.empty() ? void(arguments = "[]") : grid::AppendTaggedJson(reader, arguments);
  AppendMessageJson(grid::EntityMessage{.prefix = entity_class.prefix,
                                        .key = key,
                                        .method = timer.method,
                                        .arguments_json = arguments},
                    json);
  return json;
}

}  // namespace

MethodCounters& TurnRunner::CountersOf(const Loan& loan, std::string_view method) {
  if (loan.kind == TurnKind::kFunction) {
    function_counters_.resize(catalog_->functions.size());
    MethodCounters*& counters = function_counters_[loan.index];
    if (counters == nullptr) counters = &counters_->Of("", method);
    return *counters;
  }
  const ClassSchema& entity_class = catalog_->classes[loan.entity_class.value()];
  const bool is_handler = loan.kind == TurnKind::kEvent && loan.row != nullptr &&
                          method == entity_class.handlers[loan.index].method;
  if (!is_handler) return counters_->Of(entity_class.name, method);
  handler_counters_.resize(catalog_->classes.size());
  std::vector<MethodCounters*>& of_class = handler_counters_[loan.entity_class.value()];
  of_class.resize(entity_class.handlers.size());
  MethodCounters*& counters = of_class[loan.index];
  if (counters == nullptr) counters = &counters_->Of(entity_class.name, method);
  return *counters;
}

// A turn that was not run, because processes have died in it, is told of whatever the policy is.
void TurnRunner::Fail(const Loan& loan, const FailurePolicy& policy, std::string_view method,
                      const TurnCall& call, ResultSink& sink, LoanResult& result) {
  const bool ran = !call.error.poison;
  if (policy.kind == FailurePolicy::Kind::kSkip && ran) {
    CountersOf(loan, method).skipped.Add(1);
    ++result.failed_turns;
    return;
  }
  // What no event asks for has had its time: there is nothing that it could be tried again with.
  const bool retries = policy.kind == FailurePolicy::Kind::kRetry && call.event != nullptr;
  if (retries && ran && loan.retries < policy.retries_max && !loan.last_try) {
    CountersOf(loan, method).retried.Add(1);
    ++result.failed_turns;
    loan.row->stalled = true;
    result.outcome = LoanOutcome::kRetry;
    result.retries = loan.retries;
    result.retry_after_ms = policy.BackoffMs(loan.retries);
    return;
  }
  DeadLetter(loan, method, call, sink, result);
}

void TurnRunner::DeadLetter(const Loan& loan, std::string_view method, const TurnCall& call,
                            ResultSink& sink, LoanResult& result) {
  std::string event_json, state_json, place;
  grid::DeadLetter letter;
  letter.handler = method;
  const ClassSchema* entity_class = nullptr;
  if (loan.kind != TurnKind::kFunction) {
    entity_class = &catalog_->classes[loan.entity_class.value()];
    letter.entity_class = entity_class->name;
    // A key function runs for its handler.
    if (loan.kind == TurnKind::kKeys) letter.handler = entity_class->handlers[loan.index].method;
  }
  if (loan.row != nullptr) letter.key = loan.row->key();
  if (call.event != nullptr) {
    const grid::StreamSchema& stream = catalog_->streams[call.event->stream.value()];
    letter.stream = stream.name;
    event_json = grid::RenderEventJson(*call.event, stream.event);
    letter.event_json = event_json;
  } else if (call.timer != nullptr) {
    // As the message that would do the same.
    letter.stream = grid::kMessageStream;
    event_json = MessageOf(*call.timer, *entity_class, loan.row->key());
    letter.event_json = event_json;
  }
  if (loan.row != nullptr && loan.row->exists) {
    state_json = grid::RenderRowJson(entity_class->row, loan.row->row.get());
    letter.state_json = state_json;
  }
  if (call.event != nullptr && loan.retries > 0) letter.attempts = loan.retries + 1u;
  if (call.event != nullptr && options_.origin_places != nullptr) {
    const grid::Origin origin = grid::OriginOf(loan);
    place = options_.origin_places->Find(origin.channel, origin.position);
    letter.origin_json = place;
  }
  letter.error = call.error.message;
  letter.traceback = call.error.traceback;
  // The turn's own outputs are rolled back by now: there is room.
  static_assert(grid::kDeadLetterBytesMax <= kTurnOutputBytesMax);
  BETTONG_CHECK(sink.Emit(catalog_->dead_letters, grid::RenderDeadLetter(letter)));
  ++result.failed_turns;
}

}  // namespace bettong::compute
