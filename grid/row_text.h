// Rows as the log has them, whole or what a turn has changed, for people and for programs.
#pragma once

#include <string>

#include "grid/entry_reader.h"
#include "grid/row_schema.h"

namespace bettong::grid {

// " cpu=0.5 …", or members of a JSON object. False: it is not of this shape.
bool AppendRow(const RowSchema& schema, const LogEntry& change, bool json, std::string& out);

}  // namespace bettong::grid
