// The life of an entity, in one place: TurnRunner takes a loan, judges the deadline, runs the
// expiry turn, creates, runs the handler or command, and encodes what came of it. Language hosts
// only run single methods for it (turn_host.h).
//
// For each loan, in this order:
//   1. If the entity exists and its deadline has passed (wall clock: deadline <= now; event clock:
//      event time > deadline for an event, else watermark > deadline): the expiry turn. It may keep
//      the entity alive by touch() or by assigning ttl; otherwise the entity is gone, also when
//      on_expire raises (dead letter).
//   2. An expiry message ends here.
//   3. If it does not exist: defaults, then on_create, in one turn with what follows. A call that
//      may not create answers an error instead.
//   4. The handler or command. If it raises, the turn changed nothing: the row is as before, its
//      outputs are dropped, a created entity is gone again, the TTL is not refreshed; events are
//      dead-lettered.
//      So does a turn that two processes have died of: it is not run (turn_in_hand.h).
//   5. Refresh: events move the deadline, calls only when they say touch(). An entity without a TTL
//      then has no deadline, whatever EXPIRE gave it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "compute/turn_host.h"
#include "compute/turn_in_hand.h"
#include "grid/compute_host.h"

namespace bettong::compute {

// A call of RunBatch ends after this time, or with so many bytes of results, so that what is done
// does not wait for what is slow.
inline constexpr std::chrono::microseconds kTurnSlice{200};
inline constexpr size_t kTurnSliceBytes = 1u << 20;

class TurnRunner : public grid::ComputeHost {
 public:
  // `in_hand` outlives the runner; null: what the process may die of is not told to the next one.
  TurnRunner(std::shared_ptr<const grid::Catalog> catalog, std::unique_ptr<TurnHost> host,
             TurnInHand* in_hand = nullptr);

  size_t RunBatch(std::span<const grid::Loan> loans, grid::LoanResults& results) override;

 private:
  class ResultSink;

  void RunLoan(const grid::Loan& loan, grid::LoanResults& results);
  void PrefetchContainers(const grid::WorkingRow& row) const;
  void RunKeys(const grid::Loan& loan, grid::LoanResults& results, grid::LoanResult& result);
  // One or two methods of one turn, by a function that runs them; not, if the turn is poison.
  template <typename Run>
  TurnStatus RunTurn(uint64_t name, TurnCall& call, const Run& run);
  uint64_t NameOfExpiry(const grid::WorkingRow& row) const;
  uint64_t NameOfCall(const grid::Loan& loan) const;
  bool Due(const grid::Loan& loan) const;
  void Expire(const grid::Loan& loan, ResultSink& sink, grid::LoanResult& result);
  void Handle(const grid::Loan& loan, ResultSink& sink, grid::LoanResult& result);
  void AddDelta();
  void RefreshDeadline(const grid::Loan& loan, const TurnRequests& requests, bool refreshes,
                       bool created);
  void DeadLetter(const grid::Loan& loan, std::string_view method, const TurnError& error,
                  ResultSink& sink, grid::LoanResult& result);
  void DestroyRow(grid::WorkingRow& row);

  std::shared_ptr<const grid::Catalog> catalog_;
  std::unique_ptr<TurnHost> host_;
  TurnInHand* const in_hand_;
  // Of the loan at hand: its changes, its turn's delta, its reply.
  std::string changes_;
  std::string delta_;
  std::string reply_;
};

}  // namespace bettong::compute
