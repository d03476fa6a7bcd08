// Makes rows of a class's new version out of rows of the one before, in memory: fields by name, as
// RowReader reads them; containers of the same spec are moved over. Used once for each row, when a
// reload exchanges the catalog. Both schemas outlive it.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "grid/row_reader.h"
#include "grid/row_schema.h"

namespace bettong::grid {

// Whether rows of the one are rows of the other as they are.
bool SameLayout(const RowSchema& one, const RowSchema& other);

class RowConversion {
 public:
  // An error says which field cannot become what it is now.
  static absl::StatusOr<RowConversion> Make(const RowSchema& from, const RowSchema& to,
                                            RowReader::Unfit unfit = RowReader::Unfit::kRefuse);

  const RowSchema& from() const { return *from_; }
  const RowSchema& to() const { return *to_; }
  // Makes the new row in memory that holds nothing yet, and destroys the old one.
  void Convert(char* old_row, char* new_row, ClassId entity_class);

 private:
  RowConversion(const RowSchema& from, const RowSchema& to, RowReader reader)
      : from_(&from), to_(&to), reader_(std::move(reader)) {}

  const RowSchema* from_;
  const RowSchema* to_;
  RowReader reader_;
  std::vector<std::pair<size_t, size_t>> moved_;  // containers: index in from_, in to_
  std::string scratch_;
};

}  // namespace bettong::grid
