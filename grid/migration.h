// How rows of a class's new version are made of rows of the one before where their code has a say:
// its migrate is given the old fields and answers some of the new ones.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace bettong::grid {

// `fields`: AppendRowTagged of the old row; `delta`: what is to be done to the row that plain
// conversion makes of it, by the new schema.
using Migrate = std::function<absl::Status(ClassId entity_class, std::string_view key,
                                           std::string_view fields, std::string& delta)>;

struct RowToMigrate {
  EntryId id;
  ClassId entity_class;
  std::string key;  // without prefix
  std::string fields;
};

struct MigratedRow {
  EntryId id;
  std::string delta;
};

}  // namespace bettong::grid
