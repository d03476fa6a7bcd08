#include "grid/key_table.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/prefetch.h"

namespace bettong::grid {

KeyTable::KeyTable(const Catalog& catalog, const SlotMap& slot_map)
    : catalog_(catalog),
      slot_map_(slot_map),
      indexes_(kSlotCount / kSlotsPerIndex),
      container_bytes_(catalog.classes.size()) {}

KeyTable::~KeyTable() {
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  while (Entry* entry = slab_.Next(position, slots)) {
    FreeValue(entry);
    if (entry->has(kKeyOutside)) {
      Block::Free(LoadUnaligned<Block*>(reinterpret_cast<char*>(entry + 1)));
    }
  }
}

void KeyTable::PrefetchEntry(const KeyRef& key) const {
  IndexOf(key.slot).Find(key.hash, [this](EntryId id) {
    // Most entries lie in two lines. A write that misses the second holds up those behind it.
    const char* entry = reinterpret_cast<const char*>(slab_.at(id));
    PrefetchLine(entry);
    PrefetchLine(entry + 64);
    return true;
  });
}

EntryId KeyTable::Find(const KeyRef& key) const {
  return IndexOf(key.slot).Find(key.hash,
                                [&](EntryId id) { return slab_.at(id)->key() == key.text; });
}

EntryId KeyTable::Allocate(const KeyRef& key, ValueType type, size_t value_bytes) {
  bool key_outside = key.text.size() > Entry::kInlineKeyMax;
  size_t key_bytes = key_outside ? Entry::kPointerBytes : key.text.size();
  size_t fixed = sizeof(Entry) + key_bytes;
  size_t room = std::max(value_bytes, Entry::kInlineValueMin);
  if (fixed + room > Slab::kSlotBytesMax) room = Entry::kInlineValueMin;  // the value goes outside
  EntryId id = slab_.Allocate(fixed + room);
  Entry* entry = slab_.at(id);
  entry->type = type;
  entry->key_size = key_outside ? 0xffff : static_cast<uint16_t>(key.text.size());
  char* at = reinterpret_cast<char*>(entry + 1);
  if (key_outside) {
    Block* block = Block::Make(key.text);
    heap_bytes_ += static_cast<int64_t>(Block::HeapBytes(block));
    StoreUnaligned(at, block);
    entry->set(kKeyOutside);
  } else {
    std::memcpy(at, key.text.data(), key.text.size());
  }
  KeyIndex& index = IndexOf(key.slot);
  index_bytes_ -= index.bytes();
  index.Insert(key.hash, id);
  index_bytes_ += index.bytes();
  ++entries_;
  return id;
}

EntryId KeyTable::Insert(const KeyRef& key, ValueType type, size_t value_bytes,
                         bool with_deadline) {
  EntryId id = Allocate(key, type, value_bytes + (with_deadline ? Entry::kDeadlineBytes : 0));
  if (type == ValueType::kStream) {
    Entry* entry = slab_.at(id);
    entry->set(kValueOutside);
    entry->set_outside(new StreamValue);
    heap_bytes_ += sizeof(StreamValue);
  }
  return id;
}

EntryId KeyTable::InsertEntity(const KeyRef& key, const ClassSchema& entity_class) {
  size_t row_bytes = entity_class.row.row_bytes();
  size_t key_bytes =
      key.text.size() > Entry::kInlineKeyMax ? Entry::kPointerBytes : key.text.size();
  size_t around = sizeof(Entry) + key_bytes + Entry::kDeadlineBytes;
  bool outside = around + row_bytes > Slab::kSlotBytesMax;
  size_t value_bytes = outside ? Entry::kPointerBytes : row_bytes;
  EntryId id = Allocate(key, ValueType::kEntity, value_bytes + Entry::kDeadlineBytes);
  Entry* entry = slab_.at(id);
  if (outside) {
    Block* block = Block::Make({}, row_bytes);
    heap_bytes_ += static_cast<int64_t>(Block::HeapBytes(block));
    entry->set(kValueOutside);
    entry->set_outside(block);
  }
  return id;
}

char* KeyTable::row(Entry* entry) const {
  return entry->has(kValueOutside) ? entry->outside<Block>()->bytes() : entry->value();
}

const ClassSchema& KeyTable::class_of(Entry* entry) const {
  return catalog_.classes[class_id(entry).value()];
}

void KeyTable::AddRowBytes(Entry* entry, int sign) {
  const RowSchema& schema = class_of(entry).row;
  heap_bytes_ += sign * static_cast<int64_t>(schema.StringBytes(row(entry)));
  if (!schema.has_containers()) return;
  AddContainerBytes(class_id(entry),
                    sign * static_cast<int64_t>(schema.ContainerBytes(row(entry))));
}

void KeyTable::ConvertRow(Entry* entry, RowConversion& conversion) {
  const ClassId entity_class = class_id(entry);
  const auto count = [&](const RowSchema& schema, const char* at, int sign) {
    heap_bytes_ += sign * static_cast<int64_t>(schema.StringBytes(at));
    AddContainerBytes(entity_class, sign * static_cast<int64_t>(schema.ContainerBytes(at)));
  };
  char* old_row = row(entry);
  count(conversion.from(), old_row, -1);
  converted_.resize(conversion.to().row_bytes());
  conversion.Convert(old_row, converted_.data(), entity_class);
  MakeRoom(entry, converted_.size());
  std::memcpy(row(entry), converted_.data(), converted_.size());
  count(conversion.to(), row(entry), +1);
}

void KeyTable::MakeRoom(Entry* entry, size_t row_bytes) {
  // A slot has always room for an entity's deadline.
  const size_t deadline_room = entry->has(kHasDeadline) ? 0 : Entry::kDeadlineBytes;
  auto* block = entry->has(kValueOutside) ? entry->outside<Block>() : nullptr;
  const size_t room = block != nullptr ? block->capacity : entry->value_capacity() - deadline_room;
  if (row_bytes <= room) return;
  if (block != nullptr) {
    heap_bytes_ -= static_cast<int64_t>(Block::HeapBytes(block));
    Block::Free(block);
  }
  block = Block::Make({}, row_bytes);
  heap_bytes_ += static_cast<int64_t>(Block::HeapBytes(block));
  entry->set(kValueOutside);
  entry->set_outside(block);
}

void KeyTable::FreeValue(Entry* entry) {
  switch (entry->type) {
    case ValueType::kNone:
      return;
    case ValueType::kString:
    case ValueType::kHash:
      if (entry->has(kBigHash)) {
        auto* hash = entry->outside<BigHash>();
        heap_bytes_ -= static_cast<int64_t>(hash->heap_bytes());
        delete hash;
      } else if (entry->has(kValueOutside)) {
        auto* block = entry->outside<Block>();
        heap_bytes_ -= static_cast<int64_t>(Block::HeapBytes(block));
        Block::Free(block);
      }
      break;
    case ValueType::kStream: {
      StreamValue* value = stream(entry);
      heap_bytes_ -= static_cast<int64_t>(sizeof(StreamValue) + value->payload_bytes +
                                          value->entries.size() * sizeof(StreamEntry));
      delete value;
      break;
    }
    case ValueType::kEntity: {
      // A phantom's row was never made.
      if (!entry->has(kPhantom)) {
        const RowSchema& schema = class_of(entry).row;
        AddRowBytes(entry, -1);
        schema.Destroy(row(entry));
      }
      if (entry->has(kValueOutside)) {
        auto* block = entry->outside<Block>();
        heap_bytes_ -= static_cast<int64_t>(Block::HeapBytes(block));
        Block::Free(block);
      }
      break;
    }
  }
  entry->clear(kValueOutside);
  entry->clear(kBigHash);
  entry->value_size = 0;
}

void KeyTable::Remove(EntryId id) { Remove(id, slot_map_.Key(slab_.at(id)->key())); }

void KeyTable::Remove(EntryId id, const KeyRef& key) {
  Entry* entry = slab_.at(id);
  KeyIndex& index = IndexOf(key.slot);
  index_bytes_ -= index.bytes();
  index.Erase(key.hash, id);
  index_bytes_ += index.bytes();
  FreeValue(entry);
  if (entry->has(kKeyOutside)) {
    auto* block = LoadUnaligned<Block*>(reinterpret_cast<char*>(entry + 1));
    heap_bytes_ -= static_cast<int64_t>(Block::HeapBytes(block));
    Block::Free(block);
  }
  slab_.Free(id);
  --entries_;
}

void KeyTable::Reset(Entry* entry, ValueType type) {
  FreeValue(entry);
  entry->type = type;
  if (type == ValueType::kStream) {
    entry->set(kValueOutside);
    entry->set_outside(new StreamValue);
    heap_bytes_ += sizeof(StreamValue);
  }
}

std::string_view KeyTable::bytes(const Entry* entry) const {
  if (entry->has(kValueOutside)) return entry->outside<Block>()->view();
  return {entry->value(), entry->value_size};
}

void KeyTable::StoreOutside(Entry* entry, std::string_view bytes, size_t capacity) {
  Block* block = Block::Make(bytes, capacity);
  heap_bytes_ += static_cast<int64_t>(Block::HeapBytes(block));
  if (entry->has(kValueOutside)) {
    auto* old = entry->outside<Block>();
    heap_bytes_ -= static_cast<int64_t>(Block::HeapBytes(old));
    Block::Free(old);
  }
  entry->set(kValueOutside);
  entry->set_outside(block);
  entry->value_size = 0;
}

void KeyTable::SetBytes(Entry* entry, std::string_view bytes, bool growing) {
  if (!entry->has(kValueOutside)) {
    if (bytes.size() <= entry->value_capacity()) {
      if (!bytes.empty()) std::memmove(entry->value(), bytes.data(), bytes.size());
      entry->value_size = static_cast<uint16_t>(bytes.size());
      return;
    }
    StoreOutside(entry, bytes, growing ? bytes.size() * 2 : bytes.size());
    return;
  }
  auto* block = entry->outside<Block>();
  if (bytes.size() <= entry->value_capacity()) {
    char inline_copy[Slab::kSlotBytesMax];
    if (!bytes.empty()) std::memcpy(inline_copy, bytes.data(), bytes.size());
    heap_bytes_ -= static_cast<int64_t>(Block::HeapBytes(block));
    Block::Free(block);
    entry->clear(kValueOutside);
    if (!bytes.empty()) std::memcpy(entry->value(), inline_copy, bytes.size());
    entry->value_size = static_cast<uint16_t>(bytes.size());
    return;
  }
  if (bytes.size() <= block->capacity && block->capacity <= 2 * bytes.size() + 64) {
    std::memmove(block->bytes(), bytes.data(), bytes.size());
    block->size = static_cast<uint32_t>(bytes.size());
    return;
  }
  StoreOutside(entry, bytes, growing ? bytes.size() * 2 : bytes.size());
}

void KeyTable::AppendBytes(Entry* entry, std::string_view more) {
  const size_t old_size = bytes(entry).size();
  const size_t size = old_size + more.size();
  if (!entry->has(kValueOutside) && size <= entry->value_capacity()) {
    if (!more.empty()) std::memcpy(entry->value() + old_size, more.data(), more.size());
    entry->value_size = static_cast<uint16_t>(size);
    return;
  }
  if (!entry->has(kValueOutside) || size > entry->outside<Block>()->capacity) {
    StoreOutside(entry, bytes(entry), size * 2);
  }
  auto* block = entry->outside<Block>();
  if (!more.empty()) std::memcpy(block->bytes() + old_size, more.data(), more.size());
  block->size = static_cast<uint32_t>(size);
}

BigHash* KeyTable::MakeBigHash(Entry* entry) {
  auto* hash = new BigHash(slot_map_.hash_seed());
  PackedHash(bytes(entry)).ForEach([&](std::string_view field, std::string_view value) {
    hash->Set(field, value);
    return true;
  });
  FreeValue(entry);
  entry->set(kValueOutside);
  entry->set(kBigHash);
  entry->set_outside(hash);
  heap_bytes_ += static_cast<int64_t>(hash->heap_bytes());
  return hash;
}

void KeyTable::SetDeadline(Entry* entry, TimeMs deadline_ms) {
  if (deadline_ms != kNeverExpires && !entry->has(kHasDeadline) && !entry->has(kValueOutside) &&
      entry->type != ValueType::kEntity &&
      entry->value_size + Entry::kDeadlineBytes > entry->value_capacity()) {
    StoreOutside(entry, bytes(entry), entry->value_size);
  }
  entry->set_deadline(deadline_ms);
}

}  // namespace bettong::grid
