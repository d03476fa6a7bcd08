#include "compute/loan_groups.h"

#include <utility>

#include "base/check.h"
#include "base/prefetch.h"

namespace bettong::compute {

using grid::Loan;
using grid::TurnKind;

LoanGroups::LoanGroups(const grid::Catalog& catalog) {
  for (const grid::ClassSchema& entity_class : catalog.classes) {
    for (const grid::HandlerSchema& handler : entity_class.handlers) any_ |= handler.batch_max > 0;
  }
  for (const grid::FunctionSchema& function : catalog.functions) {
    functions_.push_back(function.batch_max > 0);
    any_ |= function.batch_max > 0;
  }
}

void LoanGroups::Look(std::span<const Loan> loans) {
  BETTONG_CHECK(state_.empty() || loans.data() == loans_.data());
  loans_ = loans;
  state_.resize(loans.size(), State::kNew);
  next_.assign(loans.size(), 0);
  ++look_;
  next_of_function_.clear();
  constexpr size_t kAhead = 8;
  for (size_t i = loans.size(); i-- > 0;) {
    if (i >= kAhead) PrefetchLine(loans[i - kAhead].row);
    grid::WorkingRow* row = loans[i].row;
    if (state_[i] == State::kHasRun) continue;
    if (row == nullptr) {
      LookAtFunction(static_cast<uint32_t>(i));
      continue;
    }
    if (row->looked_at == look_) next_[i] = row->next_loan;
    row->looked_at = look_;
    row->next_loan = static_cast<uint32_t>(i);
  }
}

void LoanGroups::LookAtFunction(uint32_t at) {
  const Loan& loan = loans_[at];
  if (loan.kind != TurnKind::kFunction || !functions_[loan.index]) return;
  uint32_t& next = next_of_function_[{loan.index, loan.partition}];
  next_[at] = std::exchange(next, at);
}

void LoanGroups::LeaveOver(size_t done) {
  state_.erase(state_.begin(), state_.begin() + static_cast<ptrdiff_t>(done));
  loans_ = loans_.subspan(done);
}

size_t LoanGroups::Next(size_t at) const {
  const size_t next = next_[at];
  if (next == 0 || state_[at] == State::kAlone || state_[next] != State::kNew) return 0;
  const Loan& first = loans_[at];
  const Loan& second = loans_[next];
  // Of functions none but the same are linked.
  const bool same = first.kind == second.kind && first.index == second.index &&
                    first.row == second.row &&
                    (first.kind == TurnKind::kEvent || first.kind == TurnKind::kFunction);
  return same ? next : 0;
}

}  // namespace bettong::compute
