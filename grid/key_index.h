// From key hash to EntryId for one group of slots: a flat array of (hash, id) pairs sorted by hash.
// A hash's home position is proportional to its value, so growing is one linear pass that touches
// no entry, a look-up is one or two cache lines, and the table may grow by a quarter at a time. It
// shrinks when three quarters are empty.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "base/ids.h"
#include "base/prefetch.h"

namespace bettong::grid {

class KeyIndex {
 public:
  struct Cell {
    uint32_t hash;
    uint32_t id;  // 0: empty
  };

  KeyIndex() = default;
  KeyIndex(KeyIndex&& from) noexcept
      : cells_(std::exchange(from.cells_, nullptr)),
        capacity_(std::exchange(from.capacity_, 0)),
        overflow_(std::exchange(from.overflow_, 0)),
        size_(std::exchange(from.size_, 0)) {}
  ~KeyIndex() { std::free(cells_); }
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  // The first id with this hash for which `equal(id)` holds, or id 0.
  template <typename Equal>
  EntryId Find(uint32_t hash, Equal&& equal) const {
    if (cells_ == nullptr) return EntryId(0);
    for (const Cell* cell = cells_ + Home(hash); cell->id != 0 && cell->hash <= hash; ++cell) {
      if (cell->hash == hash && equal(EntryId(cell->id))) return EntryId(cell->id);
    }
    return EntryId(0);
  }

  // Brings the cells of `hash` into the cache.
  void Prefetch(uint32_t hash) const {
    if (cells_ != nullptr) PrefetchLine(cells_ + Home(hash));
  }

  void Insert(uint32_t hash, EntryId id);
  void Erase(uint32_t hash, EntryId id);
  void Clear();

  size_t size() const { return size_; }
  size_t bytes() const { return cells_ == nullptr ? 0 : cells_allocated() * sizeof(Cell); }

  template <typename Visit>
  void ForEach(Visit&& visit) const {
    if (cells_ == nullptr) return;
    for (size_t i = 0; i < cells_allocated(); ++i) {
      if (cells_[i].id != 0) visit(cells_[i]);
    }
  }

 private:
  size_t cells_allocated() const { return size_t{capacity_} + overflow_; }
  size_t Home(uint32_t hash) const { return static_cast<uint64_t>(hash) * capacity_ >> 32; }
  // Spreads the cells over new homes, with so much room past the last home; false if it is too
  // little.
  bool Rebuild(uint32_t capacity, uint32_t overflow);
  void Grow();
  bool InsertCell(Cell cell);

  Cell* cells_ = nullptr;
  uint32_t capacity_ = 0;  // homes
  // Past the homes there is room for what the last homes push along; the very last cell stays
  // empty.
  uint32_t overflow_ = 0;
  uint32_t size_ = 0;
};

}  // namespace bettong::grid
