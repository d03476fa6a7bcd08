// All keys of a shard: entries in slabs, found through one index per group of slots. Knows how
// values are stored, not what they mean; deadlines are filed by Deadlines, loans by the shard.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/key_hash.h"
#include "grid/big_hash.h"
#include "grid/catalog.h"
#include "grid/entry.h"
#include "grid/hash_value.h"
#include "grid/key_index.h"
#include "grid/row_conversion.h"
#include "grid/slab.h"
#include "grid/slot_map.h"
#include "grid/value.h"

namespace bettong::grid {

inline constexpr size_t kKeyBytesMax = 64u << 10;

class KeyTable {
 public:
  // 16 slots share an index: small enough that growing one takes microseconds.
  static constexpr size_t kSlotsPerIndex = 16;

  KeyTable(const Catalog& catalog, const SlotMap& slot_map);
  ~KeyTable();
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;

  // Two steps of fetching an entry into the cache ahead of its use.
  void PrefetchIndex(const KeyRef& key) const { IndexOf(key.slot).Prefetch(key.hash); }
  void PrefetchEntry(const KeyRef& key) const;

  EntryId Find(const KeyRef& key) const;  // id 0: no entry
  Entry* at(EntryId id) const { return slab_.at(id); }
  Entry* Resolve(EntryId id) const { return slab_.Resolve(id); }
  void Prefetch(EntryId id) const { slab_.Prefetch(id); }

  // A new entry for a key that has none, sized for `value_bytes`. Its value is empty (strings,
  // packed hashes), null (streams) or an uninitialised row (entities).
  EntryId Insert(const KeyRef& key, ValueType type, size_t value_bytes, bool with_deadline);
  EntryId InsertEntity(const KeyRef& key, const ClassSchema& entity_class);
  // Frees the value and the key.
  void Remove(EntryId id);
  void Remove(EntryId id, const KeyRef& key);

  // Strings and packed hashes.
  std::string_view bytes(const Entry* entry) const;
  void SetBytes(Entry* entry, std::string_view bytes, bool growing = false);
  // Copies what is there only when it has to move, and then makes room for as much again.
  void AppendBytes(Entry* entry, std::string_view more);
  // Turns the entry into an empty one of another type, deadline kept.
  void Reset(Entry* entry, ValueType type);

  BigHash* MakeBigHash(Entry* entry);
  StreamValue* stream(const Entry* entry) const { return entry->outside<StreamValue>(); }
  char* row(Entry* entry) const;
  const ClassSchema& class_of(Entry* entry) const;
  ClassId class_id(Entry* entry) const { return RowSchema::ClassOf(row(entry)); }

  // Makes the entity's row one of the new version of its class, by the catalog as it was and as it
  // is. The entry stays where it is: what does not fit into its slot goes outside.
  void ConvertRow(Entry* entry, RowConversion& conversion);
  // For a row of so many bytes; what was in its place is lost.
  void MakeRoom(Entry* entry, size_t row_bytes);
  // The catalog has been exchanged, for one that has at least the same classes.
  void OnCatalogChanged() { container_bytes_.resize(catalog_.classes.size()); }

  // Stores the deadline, making room for it if need be.
  void SetDeadline(Entry* entry, TimeMs deadline_ms);

  // See Slab::Next.
  Entry* Next(uint32_t& position, size_t& slots_left) const {
    return slab_.Next(position, slots_left);
  }
  uint64_t scan_end() const { return slab_.scan_end(); }

  // Bytes of values that live outside the slabs change with every write: the owner of a BigHash,
  // stream or row reports the difference.
  void AddHeapBytes(int64_t delta) { heap_bytes_ += delta; }
  // The same for an entity's row: as it is now, `sign` times; and for the growth of containers.
  void AddRowBytes(Entry* entry, int sign);
  void AddContainerBytes(ClassId entity_class, int64_t delta) {
    heap_bytes_ += delta;
    container_bytes_[entity_class.value()] += delta;
  }
  // Of all entities of the class; part of used_bytes().
  size_t container_bytes(ClassId entity_class) const {
    return static_cast<size_t>(container_bytes_[entity_class.value()]);
  }
  size_t used_bytes() const {
    return slab_.bytes_used() + index_bytes_ + static_cast<size_t>(heap_bytes_);
  }
  size_t entries() const { return entries_; }

 private:
  KeyIndex& IndexOf(Slot slot) { return indexes_[slot.value() / kSlotsPerIndex]; }
  const KeyIndex& IndexOf(Slot slot) const { return indexes_[slot.value() / kSlotsPerIndex]; }
  EntryId Allocate(const KeyRef& key, ValueType type, size_t value_bytes);
  void FreeValue(Entry* entry);
  void StoreOutside(Entry* entry, std::string_view bytes, size_t capacity);

  const Catalog& catalog_;
  const SlotMap& slot_map_;
  Slab slab_;
  std::vector<KeyIndex> indexes_;
  size_t index_bytes_ = 0;
  int64_t heap_bytes_ = 0;
  std::vector<int64_t> container_bytes_;  // by class
  std::string converted_;                 // the row at hand
  size_t entries_ = 0;
};

}  // namespace bettong::grid
