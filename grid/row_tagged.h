// An entity's row as values that a language knows: for code that makes a row of another version of
// it (migrate).
#pragma once

#include <string>

#include "grid/row_schema.h"

namespace bettong::grid {

// A tagged map (grid/tagged.h) of the fields: numbers, texts, lists of arrays' elements, and what
// collections hold. Windows and timers are left out.
void AppendRowTagged(const RowSchema& schema, const char* row, std::string& tagged);

}  // namespace bettong::grid
