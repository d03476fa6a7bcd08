#include "grid/source_ref.h"

namespace bettong::grid {
namespace {

Credit& CreditOf(std::vector<Credit>& credits, SourceRef source) {
  for (Credit& credit : credits) {
    if (credit.source == source) return credit;
  }
  return credits.emplace_back(Credit{source});
}

}  // namespace

void AddCredit(std::vector<Credit>& credits, SourceRef source, int32_t delta) {
  CreditOf(credits, source).delta += delta;
}

void AddWriteCredit(std::vector<Credit>& credits, SourceRef source, int32_t writes) {
  CreditOf(credits, source).writes += writes;
}

}  // namespace bettong::grid
