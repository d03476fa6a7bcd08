// The shapes of entities' rows as a log itself tells them, for tools that have no app at hand:
// which class a key belongs to is seen from the change that follows a schema.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.h"
#include "grid/entry_reader.h"
#include "grid/row_schema.h"

namespace bettong::grid {

class LoggedSchemas {
 public:
  struct Class {
    std::string name;
    // The prefix is known for certain, not guessed from a key with several colons.
    bool certain = true;
  };

  // For every entry, in order.
  void Learn(PartitionId partition, const LogEntry& entry);

  // The schema that rows of this key have at this point of the partition's log; nullptr: none has
  // been seen.
  const RowSchema* Find(PartitionId partition, std::string_view key,
                        const Class** entity_class = nullptr) const;

 private:
  const Class* ClassOf(std::string_view key) const;

  std::map<std::pair<PartitionId, std::string>, RowSchema> schemas_;  // by class
  std::map<std::string, Class, std::less<>> classes_;                 // by prefix of their keys
  std::string announced_;  // the class of the schema just before; empty: none
};

// What is wrong with an entity's row or delta, by its schema; empty: nothing.
std::string FaultOfRow(const RowSchema& schema, const LogEntry& change);

}  // namespace bettong::grid
