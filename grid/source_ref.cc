#include "grid/source_ref.h"

namespace bettong::grid {

void AddCredit(std::vector<Credit>& credits, SourceRef source, int32_t delta) {
  for (Credit& credit : credits) {
    if (credit.source == source) {
      credit.delta += delta;
      return;
    }
  }
  credits.push_back(Credit{source, delta});
}

}  // namespace bettong::grid
