#include "grid/row_reader.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace bettong::grid {
namespace {

std::string_view NameOf(FieldType type) {
  static constexpr std::string_view kNames[] = {
      "int",        "float",        "bool",     "str",          "bytes",
      "Array[int]", "Array[float]", "a window", "a collection", "timers"};
  return kNames[static_cast<size_t>(type)];
}

bool IsArray(FieldType type) {
  return type == FieldType::kIntArray || type == FieldType::kFloatArray;
}

}  // namespace

absl::StatusOr<RowReader> RowReader::Make(RowSchema written, const RowSchema& current,
                                          Unfit unfit) {
  RowReader reader(std::make_shared<const RowSchema>(std::move(written)), current);
  reader.same_ = reader.written_->fields.size() == current.fields.size();
  for (size_t i = 0; i < reader.written_->fields.size(); ++i) {
    const FieldSchema& from = reader.written_->fields[i];
    Field& field = reader.fields_.emplace_back();
    const FieldSchema* to = current.Find(from.name, &field.current);
    reader.same_ &= to != nullptr && field.current == i && to->type == from.type &&
                    to->optional == from.optional && to->array_size == from.array_size;
    if (to == nullptr) continue;
    absl::StatusOr<Conversion> conversion = ConversionOf(from, *to);
    if (conversion.ok()) {
      field.conversion = *conversion;
    } else if (unfit == Unfit::kDrop) {
      reader.same_ = false;
    } else {
      return conversion.status();
    }
  }
  return reader;
}

absl::StatusOr<RowReader::Conversion> RowReader::ConversionOf(const FieldSchema& from,
                                                              const FieldSchema& to) {
  if (from.type == FieldType::kWindow && to.type == from.type && !(to.window == from.window)) {
    return absl::FailedPreconditionError(
        absl::StrCat("field '", from.name,
                     "' is a window of another size, of other panes or of other numbers than "
                     "when it was written; give the new one another name"));
  }
  if (from.type == FieldType::kCollection && to.type == from.type &&
      !to.collection.Reads(from.collection)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "field '", from.name, "' was ", from.collection.Text(), " when it was written and is ",
        to.collection.Text(), " now; give the new field another name"));
  }
  const bool text = from.type == FieldType::kText && to.type == FieldType::kBytes;
  if (to.type == from.type || text) return Conversion::kNone;
  if (from.type == FieldType::kInt && to.type == FieldType::kFloat) return Conversion::kIntToFloat;
  if (from.type == FieldType::kIntArray && to.type == FieldType::kFloatArray) {
    return Conversion::kIntToFloat;
  }
  if (from.type == FieldType::kBool && to.type == FieldType::kInt) return Conversion::kBoolToInt;
  if (from.type == FieldType::kBool && to.type == FieldType::kFloat) {
    return Conversion::kBoolToFloat;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("field '", from.name, "' was ", std::string(NameOf(from.type)),
                   " when it was written and is ", std::string(NameOf(to.type)),
                   " now; give the new field another name"));
}

bool RowReader::DecodeRow(char* row, ByteReader& in) const {
  if (same_) return current_->DecodeRow(row, in);
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (!DecodeField(row, i, in)) return false;
  }
  return true;
}

bool RowReader::ApplyDelta(char* row, ByteReader& in) const {
  if (same_) return current_->ApplyDelta(row, in);
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t index = in.Varint();
    if (!in.ok() || !DecodeField(row, index, in)) return false;
  }
  return in.ok();
}

bool RowReader::DecodeField(char* row, size_t index, ByteReader& in) const {
  if (index >= fields_.size()) return false;
  const FieldSchema& from = written_->fields[index];
  const Field& field = fields_[index];
  const bool drop = field.conversion == Conversion::kDrop;
  const char present = in.Fixed<char>();
  if (!in.ok() || (present == 0 && !from.optional)) return false;
  if (present == 0) {
    if (drop) return true;
    const FieldSchema& to = current_->fields[field.current];
    if (to.optional) {
      current_->SetNull(row, to, true);
      return true;
    }
    // A field that must have a value now begins with its default again.
    ByteReader initial(to.default_value);
    return to.default_value.empty() || current_->DecodeField(row, field.current, initial);
  }
  if (IsArray(from.type)) return DecodeArray(row, index, in);
  // What is left has one encoded form in common with the field as it is now.
  std::string encoded(1, IsContainer(from.type) ? present : '\1');
  ByteWriter out(encoded);
  switch (from.type) {
    case FieldType::kInt: {
      const int64_t value = in.Zigzag();
      if (field.conversion == Conversion::kIntToFloat) {
        out.Fixed(static_cast<double>(value));
      } else {
        out.Zigzag(value);
      }
      break;
    }
    case FieldType::kFloat:
      out.Fixed(in.Fixed<uint64_t>());
      break;
    case FieldType::kBool: {
      const auto value = static_cast<char>(in.Fixed<char>() != 0);
      if (field.conversion == Conversion::kBoolToInt) {
        out.Zigzag(value);
      } else if (field.conversion == Conversion::kBoolToFloat) {
        out.Fixed(static_cast<double>(value));
      } else {
        out.Fixed(value);
      }
      break;
    }
    default:
      out.Bytes(in.Bytes());
      break;
  }
  if (!in.ok() || drop) return in.ok();
  ByteReader converted(encoded);
  return current_->DecodeField(row, field.current, converted);
}

bool RowReader::DecodeArray(char* row, size_t index, ByteReader& in) const {
  const FieldSchema& from = written_->fields[index];
  const Field& field = fields_[index];
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const uint64_t element = in.Varint();
    uint64_t raw = ReadNumber(IsFloat(from.type), in);
    if (!in.ok() || element >= from.array_size) return false;
    if (field.conversion == Conversion::kDrop) continue;
    const FieldSchema& to = current_->fields[field.current];
    if (element >= to.array_size) continue;  // it is shorter now
    if (field.conversion == Conversion::kIntToFloat) {
      const auto value = static_cast<double>(static_cast<int64_t>(raw));
      std::memcpy(&raw, &value, sizeof(raw));
    }
    StoreUnaligned(row + to.offset + 8 * element, raw);
  }
  return in.ok();
}

}  // namespace bettong::grid
