// TurnRunner: functions without a key. No entity, no clock, no life: what they emit is all there
// is.
#include "compute/result_sink.h"
#include "compute/turn_runner.h"

namespace bettong::compute {

using grid::Loan;
using grid::LoanResult;
using grid::LoanResults;

void TurnRunner::RunFunction(const Loan& loan, LoanResults& results, LoanResult& result) {
  const grid::FunctionSchema& function = catalog_->functions[loan.index];
  ResultSink sink(results);
  const ResultSink::Mark mark = sink.Begin();
  TurnCall call;
  call.kind = loan.kind;
  call.index = loan.index;
  call.event = events_.empty() ? loan.event : events_.back();
  call.events = events_;
  call.now_ms = loan.now_ms;
  call.outputs = &sink;
  if (RunTurn(loan.name, call, [&] { return host_->Run(call); }) == TurnStatus::kOk) return;
  sink.RollBack(mark);
  if (PartFromMates()) return RunFunction(loan, results, result);
  Fail(loan, function.on_error, function.name, call, sink, result);
}

}  // namespace bettong::compute
