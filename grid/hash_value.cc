#include "grid/hash_value.h"

namespace bettong::grid {

size_t PackedHash::size() const {
  size_t count = 0;
  ForEach([&](std::string_view, std::string_view) { return ++count, true; });
  return count;
}

std::optional<std::string_view> PackedHash::Get(std::string_view field) const {
  std::optional<std::string_view> found;
  ForEach([&](std::string_view name, std::string_view value) {
    if (name != field) return true;
    found = value;
    return false;
  });
  return found;
}

void PackedHash::Append(std::string_view field, std::string_view value, std::string& out) {
  ByteWriter bytes(out);
  bytes.Bytes(field);
  bytes.Bytes(value);
}

std::optional<std::string_view> BigHash::Get(std::string_view field) const {
  auto found = index_.find(field);
  if (found == index_.end()) return std::nullopt;
  return items_[found->second].value;
}

bool BigHash::Set(std::string_view field, std::string_view value) {
  auto found = index_.find(field);
  if (found != index_.end()) {
    Item& item = items_[found->second];
    heap_bytes_ += value.size() - item.value.size();
    item.value.assign(value);
    return false;
  }
  uint32_t position;
  if (free_.empty()) {
    position = static_cast<uint32_t>(items_.size());
    items_.emplace_back();
  } else {
    position = free_.back();
    free_.pop_back();
  }
  Item& item = items_[position];
  item.field.assign(field);
  item.value.assign(value);
  item.used = true;
  heap_bytes_ += kItemOverhead + field.size() + value.size();
  index_.emplace(item.field, position);
  return true;
}

bool BigHash::Delete(std::string_view field) {
  auto found = index_.find(field);
  if (found == index_.end()) return false;
  uint32_t position = found->second;
  index_.erase(found);
  Item& item = items_[position];
  heap_bytes_ -= kItemOverhead + item.field.size() + item.value.size();
  item = Item{};
  free_.push_back(position);
  return true;
}

}  // namespace bettong::grid
