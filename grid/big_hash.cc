#include "grid/big_hash.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/check.h"
#include "base/key_hash.h"
#include "base/prefetch.h"

namespace bettong::grid {

namespace {

constexpr size_t kOwnBytes = sizeof(BigHash) + 600;  // with the first block of positions
constexpr size_t kAllocationBytes = 16;              // what an allocation costs beside its bytes

}  // namespace

size_t BigHash::Field::heap_bytes() const {
  return sizeof(Field) + name_size + value_capacity + kAllocationBytes + sizeof(Field*);
}

BigHash::BigHash(uint64_t seed) : seed_(seed), indexes_(1), field_bytes_(kOwnBytes) {}

BigHash::~BigHash() {
  for (Field* field : fields_) std::free(field);
}

uint32_t BigHash::HashOf(std::string_view field) const { return IndexHash(field, seed_); }

std::optional<std::string_view> BigHash::Get(std::string_view field) const {
  const EntryId place = Find(field, HashOf(field));
  if (place == EntryId(0)) return std::nullopt;
  return fields_[place.value() - 1]->value();
}

bool BigHash::Set(std::string_view name, std::string_view value) {
  const uint32_t hash = HashOf(name);
  EntryId place = Find(name, hash);
  if (place != EntryId(0)) {
    Field*& field = fields_[place.value() - 1];
    // As with strings: no more than twice the room that is needed is kept.
    if (value.size() > field->value_capacity || field->value_capacity > 2 * value.size() + 64) {
      FreeField(std::exchange(field, NewField(name, value, value.size())));
    } else {
      if (!value.empty())
        std::memmove(field->bytes() + field->name_size, value.data(), value.size());
      field->value_size = static_cast<uint32_t>(value.size());
    }
    return false;
  }
  if (free_.empty()) {
    BETTONG_CHECK(fields_.size() < UINT32_MAX);
    fields_.push_back(nullptr);
    place = EntryId(static_cast<uint32_t>(fields_.size()));
  } else {
    place = EntryId(free_.back() + 1);
    free_.pop_back();
  }
  fields_[place.value() - 1] = NewField(name, value, value.size());
  Insert(hash, place);
  if (++size_ > kFieldsPerIndex * indexes_.size()) SplitNextIndex();
  return true;
}

bool BigHash::Delete(std::string_view name) {
  const uint32_t hash = HashOf(name);
  const EntryId place = Find(name, hash);
  if (place == EntryId(0)) return false;
  Erase(hash, place);
  FreeField(std::exchange(fields_[place.value() - 1], nullptr));
  free_.push_back(place.value() - 1);
  --size_;
  return true;
}

void BigHash::PrefetchPosition(uint32_t hash) const {
  IndexOf(hash).Find(hash, [this](EntryId place) {
    PrefetchLine(&fields_[place.value() - 1]);
    return true;
  });
}

void BigHash::PrefetchField(uint32_t hash) const {
  IndexOf(hash).Find(hash, [this](EntryId place) {
    const Field* field = fields_[place.value() - 1];
    PrefetchLine(field);
    PrefetchLine(field->bytes() + field->name_size);
    return true;
  });
}

EntryId BigHash::Find(std::string_view name, uint32_t hash) const {
  return IndexOf(hash).Find(
      hash, [&](EntryId place) { return fields_[place.value() - 1]->name() == name; });
}

BigHash::Field* BigHash::NewField(std::string_view name, std::string_view value, size_t capacity) {
  void* memory = std::malloc(sizeof(Field) + name.size() + capacity);
  BETTONG_CHECK(memory != nullptr);
  auto* field =
      new (memory) Field{static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size()),
                         static_cast<uint32_t>(capacity)};
  if (!name.empty()) std::memcpy(field->bytes(), name.data(), name.size());
  if (!value.empty()) std::memcpy(field->bytes() + name.size(), value.data(), value.size());
  field_bytes_ += field->heap_bytes();
  return field;
}

void BigHash::FreeField(Field* field) {
  field_bytes_ -= field->heap_bytes();
  std::free(field);
}

// --- the indexes: with n of them, those from n - bit_floor(n) on to bit_floor(n) have not been
// split yet in this round.

size_t BigHash::IndexNumber(uint32_t hash) const {
  const size_t round = std::bit_ceil(indexes_.size());
  const size_t number = hash & (round - 1);
  return number < indexes_.size() ? number : number - round / 2;
}

void BigHash::Insert(uint32_t hash, EntryId place) {
  KeyIndex& index = IndexOf(hash);
  index_bytes_ -= index.bytes();
  index.Insert(hash, place);
  index_bytes_ += index.bytes();
}

void BigHash::Erase(uint32_t hash, EntryId place) {
  KeyIndex& index = IndexOf(hash);
  index_bytes_ -= index.bytes();
  index.Erase(hash, place);
  index_bytes_ += index.bytes();
}

void BigHash::SplitNextIndex() {
  const size_t source = indexes_.size() - std::bit_floor(indexes_.size());
  std::vector<KeyIndex::Cell> cells;
  indexes_[source].ForEach([&](const KeyIndex::Cell& cell) { cells.push_back(cell); });
  index_bytes_ -= indexes_[source].bytes();
  indexes_[source].Clear();
  indexes_.emplace_back();
  for (const KeyIndex::Cell& cell : cells) Insert(cell.hash, EntryId(cell.id));
}

}  // namespace bettong::grid
