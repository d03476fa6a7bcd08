// Which of the loans at hand may share a turn: events of one entity for one handler that takes
// several at once (HandlerSchema::batch_max), with nothing else of that entity between them. The
// order of an entity's turns stays as it is; turns of others may come between in another order.
//
// Owned by a TurnRunner. What has run ahead of its place is remembered until its place has come,
// from call to call of RunBatch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "grid/catalog.h"
#include "grid/loan.h"

namespace bettong::compute {

class LoanGroups {
 public:
  explicit LoanGroups(const grid::Catalog& catalog);

  // A handler of the catalog takes several events.
  bool any() const { return any_; }

  // `loans`: those left over by the last look, and maybe more; any, if none was left over.
  void Look(std::span<const grid::Loan> loans);
  // So many of them are done with.
  void LeaveOver(size_t done);
  // It has run with an earlier one.
  bool HasRun(size_t at) const { return state_[at] == State::kHasRun; }
  // The next loan of the entity, if it may be in a turn with the one at `at`; 0: none.
  size_t Next(size_t at) const;
  void NoteRun(size_t at) { state_[at] = State::kHasRun; }
  // A turn of several has failed: it has not run, and will alone.
  void NoteAlone(size_t at) { state_[at] = State::kAlone; }

 private:
  enum class State : uint8_t { kNew, kHasRun, kAlone };

  bool any_ = false;
  std::span<const grid::Loan> loans_;
  std::vector<State> state_;    // by place in loans_
  std::vector<uint32_t> next_;  // the same: the place of the entity's next; 0: none
  uint32_t look_ = 0;
};

}  // namespace bettong::compute
