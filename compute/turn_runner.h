// The life of an entity, in one place: TurnRunner takes a loan, judges the deadline, runs the
// expiry turn, creates, runs the handler or command, and encodes what came of it. Language hosts
// only run single methods for it (turn_host.h).
//
// For each loan, in this order:
//   0. If the entity exists: its timers that are due and its windows that close by now, each a turn
//      of its own, in the order of time, but none behind the end of its life (turn_alarms.cc).
//   1. If the entity exists and its deadline has passed (wall clock: deadline <= now; event clock:
//      event time > deadline for an event, else watermark > deadline): the expiry turn. It may keep
//      the entity alive by touch() or by assigning ttl; otherwise the entity is gone, also when
//      on_expire raises (dead letter). Windows that are still open close before it.
//   2. An expiry message ends here, and one for what is due.
//   3. If it does not exist: defaults, then on_create, in one turn with what follows. A call that
//      may not create answers an error instead.
//   4. What an event feeds to windows (turn_feeds.h), then the handler, if its condition holds
//      (grid/condition.h), or the command. If it raises, the turn changed nothing: the row is as
//      before, its outputs are dropped, a created entity is gone again, the TTL is not refreshed.
//      An event is dead-lettered, skipped, or tried again later, as its handler declares
//      (turn_failure.cc): then what was lent behind it is given back unrun. So does a turn that two
//      processes have died of: it is not run (turn_in_hand.h).
//   5. Refresh: events move the deadline, calls only when they say touch(). An entity without a TTL
//      then has no deadline, whatever EXPIRE gave it.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/log_limit.h"
#include "base/origin_places.h"
#include "base/slow_log.h"
#include "compute/loan_groups.h"
#include "compute/turn_counters.h"
#include "compute/turn_feeds.h"
#include "compute/turn_host.h"
#include "compute/turn_in_hand.h"
#include "grid/compute_host.h"

namespace bettong::compute {

class ResultSink;

// A call of RunBatch ends after this time, or with so many bytes of results, so that what is done
// does not wait for what is slow.
inline constexpr std::chrono::microseconds kTurnSlice{200};
inline constexpr size_t kTurnSliceBytes = 1u << 20;
inline constexpr char kPoisonError[] =
    "the process has died twice during this turn, which is not run any more (poison)";

// After a death during a turn so many events have turns of their own, though their handler takes
// several: the one that the process may die of again is among them, and is to be found out.
inline constexpr uint64_t kEventsAloneAfterDeath = 1'000'000;

// Turns are measured by a clock that goes in steps of a few ms.
inline constexpr int64_t kSlowTurnMsMin = 10;
// Lines on stderr that tell of slow turns: so many at once, then one an interval.
inline constexpr int64_t kSlowLinesBurst = 10;
inline constexpr std::chrono::seconds kSlowLineEvery{1};

// What is pointed to outlives the runner.
struct TurnRunnerOptions {
  TurnInHand* in_hand = nullptr;  // null: what the process may die of is not told to the next one
  TurnCounters* counters = nullptr;
  SlowLog* slow_log = nullptr;
  int64_t slow_ms = 0;  // turns that take so long are slow, at least kSlowTurnMsMin; 0: none is
  bool logged = true;   // false: nobody will ask for the operations of windows
  const OriginPlaces* origin_places = nullptr;  // null: letters do not tell of origins
};

class TurnRunner : public grid::ComputeHost {
 public:
  TurnRunner(std::shared_ptr<const grid::Catalog> catalog, std::unique_ptr<TurnHost> host,
             TurnRunnerOptions options = {});

  size_t RunBatch(std::span<const grid::Loan> loans, grid::LoanResults& results) override;
  size_t loans_at_a_time() const override;

  // For reloads, between batches, on the runner's thread.
  TurnHost& host() { return *host_; }
  // What the host has staged runs from here on, by its catalog.
  void Switch(std::shared_ptr<const grid::Catalog> catalog);

 private:
  void RunLoan(const grid::Loan& loan, grid::LoanResults& results);
  // turn_batch.cc
  // The loan with those that may share its turn.
  void RunTogether(std::span<const grid::Loan> loans, size_t at, grid::LoanResults& results);
  bool MustBeAlone();
  void GatherMates(std::span<const grid::Loan> loans, size_t at);
  // A turn of several has failed and been taken back: the loan's event goes on alone. False: it was
  // alone.
  bool PartFromMates();
  // How many events the loan's handler or function takes at once; 0: one, not several.
  uint32_t BatchMaxOf(const grid::Loan& loan) const;
  bool Joins(const grid::Loan& first, const grid::Loan& mate, TimeMs latest_ms) const;
  void PrefetchContainers(const grid::WorkingRow& row) const;
  void RunKeys(const grid::Loan& loan, grid::LoanResults& results, grid::LoanResult& result);
  // turn_functions.cc
  void RunFunction(const grid::Loan& loan, grid::LoanResults& results, grid::LoanResult& result);
  // One or two methods of one turn, by a function that runs them; not, if the turn is poison.
  template <typename Run>
  TurnStatus RunTurn(uint64_t name, TurnCall& call, const Run& run);
  uint64_t NameOfExpiry(const grid::WorkingRow& row) const;
  uint64_t NameOfCall(const grid::Loan& loan) const;
  bool Due(const grid::Loan& loan) const;
  // For a turn on the loan's entity.
  void Prepare(TurnCall& call, const grid::Loan& loan, ResultSink& sink);
  void Expire(const grid::Loan& loan, ResultSink& sink, grid::LoanResult& result);
  void Handle(const grid::Loan& loan, ResultSink& sink, grid::LoanResult& result);
  bool FeedWindows(const grid::Loan& loan, TurnError& error);
  void AddDelta(std::string_view delta);

  // turn_alarms.cc
  TimeMs ClockOf(const grid::Loan& loan, const grid::ClassSchema& entity_class,
                 const grid::FieldSchema& field) const;
  const grid::FieldSchema* NextDue(const grid::Loan& loan, TimeMs* due_ms) const;
  void RunDue(const grid::Loan& loan, ResultSink& sink, grid::LoanResult& result);
  void RunTimer(const grid::Loan& loan, const grid::FieldSchema& field, ResultSink& sink,
                grid::LoanResult& result);
  void CloseWindow(const grid::Loan& loan, const grid::FieldSchema& field, ResultSink& sink,
                   grid::LoanResult& result);
  void CloseAll(const grid::Loan& loan, ResultSink& sink, grid::LoanResult& result);
  // A turn that no message asked for, of an entity that exists: a timer's, a window's, the
  // expiry's. False: it has failed, and left a letter.
  bool RunOwn(const grid::Loan& loan, TurnCall& call, uint64_t name, std::string_view method,
              ResultSink& sink, grid::LoanResult& result);
  // What came of it counts.
  void Settle(const grid::Loan& loan, const TurnCall& call, grid::LoanResult& result);
  void AddOperations(const grid::WorkingRow& row, const grid::FieldSchema& field,
                     grid::ContainerTurn& changes, grid::LoanResult& result);
  TurnTimers* TimersFor(const grid::Loan& loan, TimeMs from_ms);
  void SettleTimers(const grid::WorkingRow& row, bool created, grid::LoanResult& result);
  void TakeTimersBack();
  void TellAlarms(const grid::Loan& loan, grid::LoanResults& results, grid::LoanResult& result);
  // `event`: what the turn was about, if it was an event.
  void RefreshDeadline(const grid::Loan& loan, const grid::EventRecord* event,
                       const TurnRequests& requests, bool refreshes, bool created);

  // turn_slow.cc
  void NoteSlow(const TurnCall& call, int64_t took_ns);

  // turn_limits.cc
  // The handler's rate limit for an event of this entity, which has a token or not: then the event
  // is dropped, or becomes a letter. Later the turn counts, or it is taken back.
  bool TakeToken(const grid::Loan& loan, ResultSink& sink, grid::LoanResult& result);
  void AddToken(const grid::Loan& loan);
  void GiveTokenBack(const grid::Loan& loan);

  // turn_failure.cc
  MethodCounters& CountersOf(const grid::Loan& loan, std::string_view method);
  // Of a turn that was taken back; the call has its error and what it was about.
  void Fail(const grid::Loan& loan, const grid::FailurePolicy& policy, std::string_view method,
            const TurnCall& call, ResultSink& sink, grid::LoanResult& result);
  void DeadLetter(const grid::Loan& loan, std::string_view method, const TurnCall& call,
                  ResultSink& sink, grid::LoanResult& result);

  void DestroyRow(grid::WorkingRow& row);

  std::shared_ptr<const grid::Catalog> catalog_;
  std::unique_ptr<TurnHost> host_;
  const TurnRunnerOptions options_;
  TurnInHand* const in_hand_;
  const int64_t slow_ns_;
  int64_t ticks_ = 0;  // when the last turn of the batch ended
  LogLimit slow_lines_{kSlowLinesBurst, kSlowLineEvery};
  const std::unique_ptr<TurnCounters> own_counters_;  // of a runner that is given none
  TurnCounters* const counters_;
  // Of the loan at hand: its changes, its turn's delta, its reply.
  std::string changes_;
  std::string delta_, feed_delta_;
  std::string reply_;
  TurnTimers timers_;                   // of the turn at hand
  TurnFeeds feeds_{options_.logged};    // likewise
  grid::ContainerTurn container_turn_;  // of what the runner itself does to a container
  uint8_t alarm_generation_ = 0;
  LoanGroups groups_;
  // Of the turn at hand, if its handler takes several: its events, the loan's first; the places of
  // the other loans.
  std::vector<const grid::EventRecord*> events_;
  std::vector<size_t> mates_;
  uint64_t events_alone_ = 0;   // since a death
  grid::RateState token_undo_;  // of a turn whose handler has a limit
  // By class and handler, as far as they have been asked for.
  std::vector<std::vector<MethodCounters*>> handler_counters_;
  std::vector<MethodCounters*> function_counters_;  // likewise
};

// Changes every few ms.
inline int64_t CoarseTicks() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

template <typename Run>
TurnStatus TurnRunner::RunTurn(uint64_t name, TurnCall& call, const Run& run) {
  if (in_hand_ != nullptr && !in_hand_->Begin(name)) {
    call.error = {.message = kPoisonError, .traceback = kPoisonError, .poison = true};
    return TurnStatus::kRaised;
  }
  const TurnStatus status = run();
  if (in_hand_ != nullptr) in_hand_->End(name);
  const int64_t ticks = CoarseTicks();
  if (ticks - ticks_ >= slow_ns_) NoteSlow(call, ticks - ticks_);
  ticks_ = ticks;
  return status;
}

}  // namespace bettong::compute
