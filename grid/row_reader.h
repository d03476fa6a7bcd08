// Reads rows and deltas that were written in the shape of an earlier version of a class: fields are
// matched by name; those that are gone are dropped, new ones keep their default, and ints become
// floats, bools ints, text bytes, where the class says so now. Owned by whoever replays a log.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "grid/row_schema.h"

namespace bettong::grid {

class RowReader {
 public:
  // What becomes of fields that cannot be read as what they are now.
  enum class Unfit : uint8_t { kRefuse, kDrop };
  // An error says which field that is.
  static absl::StatusOr<RowReader> Make(RowSchema written, const RowSchema& current,
                                        Unfit unfit = Unfit::kRefuse);

  // Into a row of the current class that holds its defaults; false: malformed.
  bool DecodeRow(char* row, ByteReader& in) const;
  bool ApplyDelta(char* row, ByteReader& in) const;

 private:
  enum class Conversion : uint8_t { kNone, kDrop, kIntToFloat, kBoolToInt, kBoolToFloat };
  struct Field {
    Conversion conversion = Conversion::kDrop;
    size_t current = 0;  // index; not with kDrop
  };

  static absl::StatusOr<Conversion> ConversionOf(const FieldSchema& from, const FieldSchema& to);
  RowReader(std::shared_ptr<const RowSchema> written, const RowSchema& current)
      : written_(std::move(written)), current_(&current) {}
  bool DecodeField(char* row, size_t index, ByteReader& in) const;
  bool DecodeArray(char* row, size_t index, ByteReader& in) const;

  std::shared_ptr<const RowSchema> written_;
  const RowSchema* current_;
  bool same_ = true;
  std::vector<Field> fields_;  // by index in `written_`
};

}  // namespace bettong::grid
