// The log's entries for people (one line, long values cut) and for programs (members of a JSON
// object, whole). Knows no app: rows are shown by the schemas that the log holds.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "grid/entry_reader.h"
#include "grid/logged_schemas.h"

namespace bettong::grid {

// "change host:web-01 delta cpu=0.5"
void AppendEntryText(PartitionId partition, const LogEntry& entry, const LoggedSchemas& schemas,
                     std::string& out);
// "kind":"change","key":"host:web-01","op":"delta","fields":{"cpu":0.5}
void AppendEntryJson(PartitionId partition, const LogEntry& entry, const LoggedSchemas& schemas,
                     std::string& out);

}  // namespace bettong::grid
