#include "grid/row_conversion.h"

#include <algorithm>

#include "base/check.h"

namespace bettong::grid {
namespace {

bool SameContainer(const FieldSchema& one, const FieldSchema& other) {
  if (one.type != other.type) return false;
  if (one.type == FieldType::kWindow) return one.window == other.window;
  return one.type != FieldType::kCollection || one.collection == other.collection;
}

}  // namespace

bool SameLayout(const RowSchema& one, const RowSchema& other) {
  std::string first, second;
  one.EncodeSchema(first);
  other.EncodeSchema(second);
  return first == second;
}

absl::StatusOr<RowConversion> RowConversion::Make(const RowSchema& from, const RowSchema& to,
                                                  RowReader::Unfit unfit) {
  absl::StatusOr<RowReader> reader = RowReader::Make(from, to, unfit);
  if (!reader.ok()) return reader.status();
  RowConversion conversion(from, to, *std::move(reader));
  for (size_t i = 0; i < to.fields.size(); ++i) {
    size_t before = 0;
    if (!IsContainer(to.fields[i].type)) continue;
    const FieldSchema* old = from.Find(to.fields[i].name, &before);
    if (old != nullptr && SameContainer(*old, to.fields[i])) {
      conversion.moved_.emplace_back(before, i);
    }
  }
  return conversion;
}

void RowConversion::Convert(char* old_row, char* new_row, ClassId entity_class) {
  to_->InitDefaults(new_row, entity_class);
  for (const auto& [before, now] : moved_) {
    char* at = old_row + from_->fields[before].offset;
    StoreUnaligned(new_row + to_->fields[now].offset, LoadUnaligned<Container*>(at));
    StoreUnaligned(at, static_cast<Container*>(nullptr));
  }
  to_->MakeContainers(new_row);
  // What has been moved is not there any more: its image is empty, and changes nothing.
  scratch_.clear();
  from_->EncodeRow(old_row, scratch_);
  ByteReader in(scratch_);
  BETTONG_CHECK(reader_.DecodeRow(new_row, in) && in.empty());
  from_->Destroy(old_row);
}

}  // namespace bettong::grid
