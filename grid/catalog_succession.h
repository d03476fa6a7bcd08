// What may follow a catalog while entities of its classes live (hot reload). Streams and classes
// that the one before has must have their ids in the next one, retired if the apps have them no
// more.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <span>

#include "grid/catalog.h"

namespace bettong::grid {

// `entities`: how many live, by ClassId of `current`. An error says what stands in the way, of
// which class.
absl::Status CheckSuccession(const Catalog& current, const Catalog& next,
                             std::span<const uint64_t> entities);

// Windows refer to the shape that they were made with: fields whose windows are the same share it.
void ShareShapes(const Catalog& current, Catalog& next);

// Whether entities of the class have to be gone over when the one follows the other: their rows
// are of another layout, or their alarms are wanted from now on.
bool ChangesRows(const ClassSchema& current, const ClassSchema& next);
// Whether their rows go through the new version's migrate.
bool Migrates(const ClassSchema& current, const ClassSchema& next);
bool ChangesAlarms(const ClassSchema& current, const ClassSchema& next);

}  // namespace bettong::grid
