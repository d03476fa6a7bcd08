// A row that the log holds in a shape that the code cannot read as it is: kept in that shape while
// the log is applied, until an image in a newer one takes its place, it ends, or the class's
// migrate makes a row of it. Owned by the replay of its shard.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/ids.h"
#include "grid/row_schema.h"

namespace bettong::grid {

struct UnreadRow {
  // Of no known class, or of one without migrate: only why that is so is kept.
  explicit UnreadRow(std::string reason) : why(std::move(reason)) {}
  UnreadRow(ClassId of, std::shared_ptr<const RowSchema> as_written)
      : entity_class(of), schema(std::move(as_written)), row(new char[schema->row_bytes()]) {
    schema->InitDefaults(row.get(), entity_class);
    schema->MakeContainers(row.get());
  }
  ~UnreadRow() {
    if (schema != nullptr) schema->Destroy(row.get());
  }
  UnreadRow(const UnreadRow&) = delete;
  UnreadRow& operator=(const UnreadRow&) = delete;

  // False: malformed.
  bool Apply(bool create, ByteReader& in) {
    if (schema == nullptr) return true;
    return (create ? schema->DecodeRow(row.get(), in) : schema->ApplyDelta(row.get(), in)) &&
           in.empty();
  }

  std::string why;  // not empty: nothing can be made of it
  ClassId entity_class;
  std::shared_ptr<const RowSchema> schema;  // null: with `why`
  std::unique_ptr<char[]> row;
  TimeMs deadline_ms = kNeverExpires;
  std::optional<int64_t> own_ttl_ms;
  std::string delta;  // what migrate has made of it
};

}  // namespace bettong::grid
