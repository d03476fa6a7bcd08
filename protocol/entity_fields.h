// Writing an entity's fields as if it were a hash: typed, checked, with errors that name the field.
// Each function replies for its command.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "grid/key_turn.h"

namespace bettong::protocol {

// The field's index, or the error has been replied.
std::optional<size_t> FindEntityField(grid::KeyTurn& turn, std::string_view name);

using FieldValue = std::pair<std::string_view, std::string_view>;

// Sets all the fields, or none if one of them cannot be set: then the error has been replied.
bool SetEntityFields(grid::KeyTurn& turn, std::span<const FieldValue> fields);

// HINCRBY on an int field, HINCRBYFLOAT on a float field.
void AddToEntityField(grid::KeyTurn& turn, std::string_view field, int64_t increment);
void AddToEntityFieldFloat(grid::KeyTurn& turn, std::string_view field, long double increment);

void RefuseToRemoveFields(grid::KeyTurn& turn);

// "int", "float", "Array[int, 4]", "str | None": as the class declares it.
std::string FieldTypeText(const grid::FieldSchema& field);

}  // namespace bettong::protocol
