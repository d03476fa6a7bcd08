#include "grid/catalog_succession.h"

#include <absl/strings/str_cat.h>

#include <string>

#include "base/check.h"
#include "grid/row_conversion.h"

namespace bettong::grid {
namespace {

std::string_view NameOf(TtlClock clock) { return clock == TtlClock::kEvent ? "event" : "wall"; }

absl::Status Refused(const ClassSchema& entity_class, uint64_t entities,
                     const absl::AlphaNum& why) {
  return absl::FailedPreconditionError(absl::StrCat("class ", entity_class.name, ", of which ",
                                                    entities, entities == 1 ? " lives" : " live",
                                                    ": ", why));
}

absl::Status CheckClass(const ClassSchema& current, const ClassSchema& next, uint64_t entities) {
  if (entities == 0) return absl::OkStatus();
  if (next.retired) {
    return Refused(current, entities,
                   "the new version does not declare it; keep the class until they are gone "
                   "(TTL, DEL), or delete them first");
  }
  if (current.prefix != next.prefix) {
    return Refused(current, entities,
                   absl::StrCat("its prefix was '", current.prefix, "' and is '", next.prefix,
                                "' now; keep the prefix, or give the new class another name"));
  }
  if (current.clock != next.clock) {
    return Refused(
        current, entities,
        absl::StrCat("its clock was \"", std::string(NameOf(current.clock)), "\" and is \"",
                     std::string(NameOf(next.clock)),
                     "\" now, and deadlines cannot be converted; keep the clock, or give the new "
                     "class another name"));
  }
  if (next.has_migrate) return absl::OkStatus();
  const auto conversion = RowConversion::Make(current.row, next.row);
  if (conversion.ok()) return absl::OkStatus();
  return Refused(current, entities,
                 absl::StrCat(conversion.status().message(), ", or the class a migrate(cls, old)"));
}

}  // namespace

absl::Status CheckSuccession(const Catalog& current, const Catalog& next,
                             std::span<const uint64_t> entities) {
  BETTONG_CHECK(entities.size() == current.classes.size());
  BETTONG_CHECK(current.classes.size() <= next.classes.size());
  BETTONG_CHECK(current.streams.size() <= next.streams.size());
  for (size_t i = 0; i < current.streams.size(); ++i) {
    BETTONG_CHECK(current.streams[i].name == next.streams[i].name);
  }
  for (size_t i = 0; i < current.classes.size(); ++i) {
    BETTONG_CHECK(current.classes[i].name == next.classes[i].name);
    absl::Status status = CheckClass(current.classes[i], next.classes[i], entities[i]);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void ShareShapes(const Catalog& current, Catalog& next) {
  for (size_t i = 0; i < current.classes.size(); ++i) {
    for (FieldSchema& field : next.classes[i].row.fields) {
      const FieldSchema* before = current.classes[i].row.Find(field.name);
      if (field.type != FieldType::kWindow || before == nullptr || before->type != field.type) {
        continue;
      }
      if (before->window == field.window) field.shape = before->shape;
    }
  }
}

bool ChangesRows(const ClassSchema& current, const ClassSchema& next) {
  return !current.retired && !next.retired && !SameLayout(current.row, next.row);
}

bool Migrates(const ClassSchema& current, const ClassSchema& next) {
  return next.has_migrate && ChangesRows(current, next);
}

bool ChangesAlarms(const ClassSchema& current, const ClassSchema& next) {
  if (next.retired || !next.row.has_timed()) return false;
  return ChangesRows(current, next) || current.has_on_close != next.has_on_close ||
         current.uses_watermark != next.uses_watermark;
}

}  // namespace bettong::grid
