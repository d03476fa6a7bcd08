// Any bytes as the entries of a section: they are read, shown and judged without harm.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "grid/entry_reader.h"
#include "grid/log_text.h"
#include "grid/logged_schemas.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bettong;
  using namespace bettong::grid;
  const std::string_view entries(reinterpret_cast<const char*>(data), size);
  EntryReader reader(entries);
  LoggedSchemas schemas;
  std::string out;
  const PartitionId partition(1);
  while (reader.Next()) {
    const LogEntry& entry = reader.entry();
    BETTONG_CHECK(entry.at < size);
    schemas.Learn(partition, entry);
    out.clear();
    AppendEntryText(partition, entry, schemas, out);
    AppendEntryJson(partition, entry, schemas, out);
    BETTONG_CHECK(!out.empty());
    if (!entry.is_change() ||
        (entry.op != ChangeOp::kEntityCreate && entry.op != ChangeOp::kEntityDelta)) {
      continue;
    }
    const RowSchema* schema = schemas.Find(partition, entry.key);
    if (schema != nullptr) (void)FaultOfRow(*schema, entry);
  }
  return 0;
}
