#include "protocol/hash_view.h"

#include "protocol/errors.h"

namespace bettong::protocol {

using grid::ValueType;

bool HashView::Open() {
  type_ = turn_.type();
  if (type_ == ValueType::kNone || type_ == ValueType::kHash || type_ == ValueType::kEntity) {
    return true;
  }
  ReplyWrongType(turn_);
  return false;
}

size_t HashView::size() {
  if (type_ == ValueType::kHash) return turn_.hash_size();
  if (type_ == ValueType::kEntity) return turn_.entity_class().row.shown().size();
  return 0;
}

std::optional<std::string_view> HashView::Get(std::string_view field) {
  if (type_ == ValueType::kHash) return turn_.HashGet(field);
  if (type_ == ValueType::kNone) return std::nullopt;
  const grid::RowSchema& schema = turn_.entity_class().row;
  size_t index = 0;
  if (schema.Find(field, &index) == nullptr) return std::nullopt;
  text_.clear();
  schema.AppendText(turn_.entity_row(), index, text_);
  return text_;
}

void HashView::ForEach(
    const std::function<void(std::string_view field, std::string_view value)>& visit) {
  if (type_ == ValueType::kHash) {
    turn_.HashVisit(0, [&visit](std::string_view field, std::string_view value) {
      visit(field, value);
      return true;
    });
  } else if (type_ == ValueType::kEntity) {
    const grid::RowSchema& schema = turn_.entity_class().row;
    const char* row = turn_.entity_row();
    for (size_t i = 0; i < schema.shown().size(); ++i) {
      text_.clear();
      schema.AppendText(row, i, text_);
      visit(schema.fields[i].name, text_);
    }
  }
}

}  // namespace bettong::protocol
