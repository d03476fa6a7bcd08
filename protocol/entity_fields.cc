#include "protocol/entity_fields.h"

#include <absl/container/inlined_vector.h>

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/nearest_name.h"
#include "protocol/reply_writer.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

using grid::FieldSchema;
using grid::FieldType;
using grid::KeyTurn;

std::string_view TypeName(FieldType type) {
  switch (type) {
    case FieldType::kInt:
      return "int";
    case FieldType::kFloat:
      return "float";
    case FieldType::kBool:
      return "bool";
    case FieldType::kText:
      return "str";
    case FieldType::kBytes:
      return "bytes";
    case FieldType::kIntArray:
      return "int";
    case FieldType::kFloatArray:
      return "float";
    case FieldType::kTimers:
      return "Timers";
    case FieldType::kWindow:
    case FieldType::kCollection:
      break;
  }
  return "";
}

bool IsArray(const FieldSchema& field) {
  return field.type == FieldType::kIntArray || field.type == FieldType::kFloatArray;
}

std::string FieldError(KeyTurn& turn, const FieldSchema& field, std::string_view why) {
  const std::string type = FieldTypeText(field);
  const bool vowel = type.front() == 'i' || type.front() == 'A';
  return "ERR field '" + field.name + "' of " + turn.entity_class().name +
         (vowel ? " is an " : " is a ") + type + ": " + std::string(why);
}

void ReplyFieldError(KeyTurn& turn, const FieldSchema& field, std::string_view why) {
  ReplyWriter(turn.reply(), turn.resp3()).Error(FieldError(turn, field, why));
}

}  // namespace

std::string FieldTypeText(const FieldSchema& field) {
  std::string text(TypeName(field.type));
  if (field.type == FieldType::kWindow) {
    const grid::HashedValue hashed = field.window.hashed;
    text = grid::NameOf(field.window.kind);
    text += hashed == grid::HashedValue::kText    ? "[str]"
            : hashed == grid::HashedValue::kBytes ? "[bytes]"
            : field.window.is_float               ? "[float]"
                                                  : "[int]";
  }
  if (field.type == FieldType::kCollection) text = field.collection.Text();
  if (IsArray(field)) text = "Array[" + text + ", " + std::to_string(field.array_size) + "]";
  return field.optional ? text + " | None" : text;
}

std::optional<size_t> FindEntityField(KeyTurn& turn, std::string_view name) {
  size_t index = 0;
  const grid::ClassSchema& entity_class = turn.entity_class();
  if (entity_class.row.Find(name, &index) != nullptr) return index;
  std::string error =
      "ERR " + entity_class.name + " has no field '" + std::string(name.substr(0, 128)) + "'";
  std::vector<std::string_view> names;
  for (const FieldSchema& field : entity_class.row.shown()) names.push_back(field.name);
  if (const auto nearest = NearestName(name, names)) {
    error += "; did you mean '" + std::string(*nearest) + "'?";
  }
  ReplyWriter(turn.reply(), turn.resp3()).Error(error);
  return std::nullopt;
}

bool SetEntityFields(KeyTurn& turn, std::span<const FieldValue> fields) {
  const grid::RowSchema& schema = turn.entity_class().row;
  absl::InlinedVector<std::pair<size_t, std::string>, 4> encoded;
  for (const auto& [name, text] : fields) {
    const auto index = FindEntityField(turn, name);
    if (!index) return false;
    encoded.emplace_back(*index, std::string());
    const std::string why = schema.ParseText(*index, text, encoded.back().second);
    if (!why.empty()) {
      ReplyFieldError(turn, schema.fields[*index], why);
      return false;
    }
  }
  for (const auto& [index, bytes] : encoded) turn.EntitySet(index, bytes);
  turn.Notify(grid::kNotifyHash, "hset");
  return true;
}

void AddToEntityField(KeyTurn& turn, std::string_view name, int64_t increment) {
  const auto index = FindEntityField(turn, name);
  if (!index) return;
  const FieldSchema& field = turn.entity_class().row.fields[*index];
  if (field.type != FieldType::kInt) {
    return ReplyFieldError(turn, field, "HINCRBY needs an int field");
  }
  const char* row = turn.entity_row();
  int64_t value =
      turn.entity_class().row.IsNull(row, field) ? 0 : LoadUnaligned<int64_t>(row + field.offset);
  if (__builtin_add_overflow(value, increment, &value)) {
    return ReplyFieldError(turn, field, "increment or decrement would overflow");
  }
  std::string encoded(1, '\1');
  ByteWriter out(encoded);
  grid::WriteNumber(/*is_float=*/false, static_cast<uint64_t>(value), out);
  turn.EntitySet(*index, encoded);
  turn.Notify(grid::kNotifyHash, "hincrby");
  ReplyWriter(turn.reply(), turn.resp3()).Integer(value);
}

void AddToEntityFieldFloat(KeyTurn& turn, std::string_view name, long double increment) {
  const auto index = FindEntityField(turn, name);
  if (!index) return;
  const grid::RowSchema& schema = turn.entity_class().row;
  const FieldSchema& field = schema.fields[*index];
  if (field.type != FieldType::kFloat) {
    return ReplyFieldError(turn, field, "HINCRBYFLOAT needs a float field");
  }
  const char* row = turn.entity_row();
  const double old = schema.IsNull(row, field) ? 0 : LoadUnaligned<double>(row + field.offset);
  const auto value = static_cast<double>(old + increment);
  if (!std::isfinite(value)) {
    return ReplyFieldError(turn, field, "increment would produce NaN or Infinity");
  }
  std::string encoded(1, '\1');
  ByteWriter out(encoded);
  grid::WriteNumber(/*is_float=*/true, std::bit_cast<uint64_t>(value), out);
  turn.EntitySet(*index, encoded);
  turn.Notify(grid::kNotifyHash, "hincrbyfloat");
  std::string text;
  schema.AppendText(turn.entity_row(), *index, text);
  ReplyWriter(turn.reply(), turn.resp3()).Bulk(text);
}

void RefuseToRemoveFields(KeyTurn& turn) {
  ReplyWriter(turn.reply(), turn.resp3())
      .Error("ERR fields of an entity cannot be removed: '" + std::string(turn.key()) +
             "' is of class " + turn.entity_class().name + "; DEL removes it as a whole");
}

}  // namespace bettong::protocol
