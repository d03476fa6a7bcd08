#include "grid/logged_schemas.h"

#include <algorithm>

#include "grid/catalog.h"

namespace bettong::grid {
namespace {

bool IsOfRow(const LogEntry& entry) {
  return entry.is_change() &&
         (entry.op == ChangeOp::kEntityCreate || entry.op == ChangeOp::kEntityDelta);
}

}  // namespace

void LoggedSchemas::Learn(PartitionId partition, const LogEntry& entry) {
  if (entry.kind == LogEntryKind::kClass) {
    announced_ = entry.name;
    std::optional<RowSchema> schema = RowSchema::DecodeSchema(entry.bytes);
    if (schema) schemas_.insert_or_assign({partition, announced_}, *std::move(schema));
    return;
  }
  // A schema is written right before the change that needs it.
  if (IsOfRow(entry) && !announced_.empty()) {
    const std::string_view key = entry.key;
    std::string prefix = SnakeCase(announced_);
    bool certain = true;
    if (!key.starts_with(prefix + ":")) {
      prefix = key.substr(0, key.find(':'));
      certain = std::count(key.begin(), key.end(), ':') == 1;
    }
    classes_.insert_or_assign(std::move(prefix), Class{announced_, certain});
  }
  announced_.clear();
}

// As in the catalog: the longest prefix wins.
const LoggedSchemas::Class* LoggedSchemas::ClassOf(std::string_view key) const {
  for (size_t colon = key.rfind(':'); colon != std::string_view::npos && colon > 0;
       colon = key.rfind(':', colon - 1)) {
    const auto at = classes_.find(key.substr(0, colon));
    if (at != classes_.end()) return &at->second;
  }
  return nullptr;
}

const RowSchema* LoggedSchemas::Find(PartitionId partition, std::string_view key,
                                     const Class** entity_class) const {
  const Class* found = ClassOf(key);
  if (found == nullptr) return nullptr;
  if (entity_class != nullptr) *entity_class = found;
  const auto at = schemas_.find({partition, found->name});
  return at == schemas_.end() ? nullptr : &at->second;
}

std::string FaultOfRow(const RowSchema& schema, const LogEntry& change) {
  std::string row(schema.row_bytes(), '\0');
  schema.InitDefaults(row.data(), ClassId(0));
  // What is recorded of a container tells nothing without those that it happened to.
  if (change.op == ChangeOp::kEntityCreate) schema.MakeContainers(row.data());
  ByteReader in(change.bytes);
  const bool create = change.op == ChangeOp::kEntityCreate;
  const bool good = create ? schema.DecodeRow(row.data(), in) : schema.ApplyDelta(row.data(), in);
  const bool whole = good && in.empty();
  schema.Destroy(row.data());
  if (whole) return {};
  return create ? "its row does not fit its class's schema"
                : "its delta does not fit its class's schema";
}

}  // namespace bettong::grid
