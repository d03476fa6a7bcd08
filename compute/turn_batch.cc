// Turns of several events of one entity, for handlers that take them so; of one partition, for
// functions.
#include <algorithm>
#include <utility>

#include "base/simulation.h"
#include "compute/turn_runner.h"

namespace bettong::compute {

using grid::Loan;
using grid::LoanResult;
using grid::LoanResults;
using grid::TurnKind;

size_t TurnRunner::loans_at_a_time() const {
  return groups_.any() ? grid::kEventsPerTurnMax : grid::kLoansAtATime;
}

void TurnRunner::RunTogether(std::span<const Loan> loans, size_t at, LoanResults& results) {
  const Loan& loan = loans[at];
  if (!groups_.any()) return RunLoan(loan, results);
  GatherMates(loans, at);
  RunLoan(loan, results);
  // Done with it, in the same record of the log: what their events bring about is its result.
  for (const size_t mate : mates_) {
    groups_.NoteRun(mate);
    LoanResult done;
    done.kind = loans[mate].kind;
    done.entry = loans[mate].entry;
    done.token = loans[mate].token;
    done.item = loans[mate].item;
    results.results.push_back(done);
  }
  mates_.clear();
  events_.clear();
}

// Which of them it was will be seen when each has a turn of its own.
bool TurnRunner::PartFromMates() {
  if (mates_.empty() || BETTONG_PLANTED(events_go_with_a_failed_shared_turn)) return false;
  BETTONG_SOMETIMES(shared_turn_failed);
  events_.resize(1);
  for (const size_t mate : std::exchange(mates_, {})) groups_.NoteAlone(mate);
  return true;
}

// What the process dies of is found out one by one.
bool TurnRunner::MustBeAlone() {
  if (in_hand_ == nullptr || !in_hand_->follows_a_death()) return false;
  if (events_alone_ == kEventsAloneAfterDeath) return false;
  ++events_alone_;
  return true;
}

uint32_t TurnRunner::BatchMaxOf(const Loan& loan) const {
  if (loan.kind == TurnKind::kFunction) return catalog_->functions[loan.index].batch_max;
  if (loan.kind != TurnKind::kEvent) return 0;
  return catalog_->classes[loan.entity_class.value()].handlers[loan.index].batch_max;
}

void TurnRunner::GatherMates(std::span<const Loan> loans, size_t at) {
  const Loan& first = loans[at];
  const uint32_t batch_max = BatchMaxOf(first);
  if (batch_max == 0) return;
  events_.push_back(first.event);
  const bool has_row = first.row != nullptr;
  const bool alone = (has_row && first.row->stalled) || MustBeAlone();
  TimeMs latest_ms = first.event->time_ms;
  for (size_t next = alone ? 0 : groups_.Next(at); next != 0 && events_.size() < batch_max;
       next = groups_.Next(next)) {
    if (has_row && !Joins(first, loans[next], latest_ms)) break;
    mates_.push_back(next);
    events_.push_back(loans[next].event);
    latest_ms = std::max(latest_ms, loans[next].event->time_ms);
  }
}

// Nothing can come between them: no end of the entity, no timer, no window that closes. What the
// turn itself may bring about by then counts as well.
bool TurnRunner::Joins(const Loan& first, const Loan& mate, TimeMs latest_ms) const {
  const grid::WorkingRow& row = *first.row;
  const grid::ClassSchema& entity_class = catalog_->classes[row.entity_class.value()];
  if (entity_class.row.has_timed() &&
      (mate.reached_ms != first.reached_ms || mate.now_ms != first.now_ms)) {
    return false;
  }
  const bool limited = row.has_own_ttl || entity_class.ttl_ms.has_value();
  if (!limited || BETTONG_PLANTED(shared_turn_across_the_end_of_a_life)) return true;
  const int64_t ttl_ms = row.exists ? row.ttl_ms : entity_class.ttl_ms.value_or(0);
  if (entity_class.clock == grid::TtlClock::kWall) return mate.now_ms - first.now_ms < ttl_ms;
  const TimeMs reached_ms = std::max(mate.event->time_ms, mate.watermark_ms);
  return latest_ms != kNoTime && reached_ms - latest_ms <= ttl_ms;
}

}  // namespace bettong::compute
