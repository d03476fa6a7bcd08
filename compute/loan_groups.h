// Which of the loans at hand may share a turn: events of one entity for one handler that takes
// several at once (HandlerSchema::batch_max), with nothing else of that entity between them; and
// events that come by one partition, where their turns are logged, for one function that takes
// several. The order of an entity's and of a function's turns stays as it is; turns of others may
// come between in another order.
//
// Owned by a TurnRunner. What has run ahead of its place is remembered until its place has come,
// from call to call of RunBatch.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/ids.h"
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
  // The next loan of the entity or function, if it may be in a turn with the one at `at`; 0: none.
  size_t Next(size_t at) const;
  void NoteRun(size_t at) { state_[at] = State::kHasRun; }
  // A turn of several has failed: it has not run, and will alone.
  void NoteAlone(size_t at) { state_[at] = State::kAlone; }

 private:
  enum class State : uint8_t { kNew, kHasRun, kAlone };

  void LookAtFunction(uint32_t at);

  bool any_ = false;
  std::vector<bool> functions_;  // by number: takes several
  std::span<const grid::Loan> loans_;
  std::vector<State> state_;    // by place in loans_
  std::vector<uint32_t> next_;  // the same: the place of the entity's next; 0: none
  // Of functions that take several, by function and partition: the place of the next.
  absl::flat_hash_map<std::pair<uint16_t, PartitionId>, uint32_t> next_of_function_;
  uint32_t look_ = 0;
};

}  // namespace bettong::compute
