#include "grid/key_index.h"

#include <cstring>

#include "base/check.h"

namespace bettong::grid {

namespace {
constexpr uint32_t kCapacityMin = 16;
}

bool KeyIndex::InsertCell(Cell cell) {
  Cell* at = cells_ + Home(cell.hash);
  while (at->id != 0 && at->hash <= cell.hash) ++at;
  Cell* gap = at;
  while (gap->id != 0) ++gap;
  if (gap == cells_ + CellsAllocated(capacity_) - 1) return false;
  std::memmove(at + 1, at, static_cast<size_t>(gap - at) * sizeof(Cell));
  *at = cell;
  return true;
}

void KeyIndex::Insert(uint32_t hash, EntryId id) {
  if (cells_ == nullptr || size_ >= capacity_ - capacity_ / 8) {
    Grow(cells_ == nullptr ? kCapacityMin : capacity_ + capacity_ / 4 + 4);
  }
  while (!InsertCell(Cell{hash, id.value()})) Grow(capacity_ + capacity_ / 4 + 4);
  ++size_;
}

void KeyIndex::Grow(uint32_t capacity) {
  for (;; capacity += capacity / 4) {
    auto* cells = static_cast<Cell*>(std::calloc(CellsAllocated(capacity), sizeof(Cell)));
    BETTONG_CHECK(cells != nullptr);
    size_t next = 0;
    bool fits = true;
    for (size_t i = 0; cells_ != nullptr && fits && i < CellsAllocated(capacity_); ++i) {
      if (cells_[i].id == 0) continue;
      size_t home = static_cast<uint64_t>(cells_[i].hash) * capacity >> 32;
      if (next < home) next = home;
      fits = next < CellsAllocated(capacity) - 1;
      if (fits) cells[next++] = cells_[i];
    }
    if (!fits) {  // a crowd at the upper end: only hashes chosen to collide get here
      std::free(cells);
      continue;
    }
    std::free(cells_);
    cells_ = cells;
    capacity_ = capacity;
    return;
  }
}

void KeyIndex::Erase(uint32_t hash, EntryId id) {
  Cell* at = cells_ + Home(hash);
  while (at->id != id.value()) {
    BETTONG_CHECK(at->id != 0);
    ++at;
  }
  // Pull back every follower that does not stand at its home.
  Cell* end = at + 1;
  while (end->id != 0 && static_cast<size_t>(end - cells_) > Home(end->hash)) ++end;
  std::memmove(at, at + 1, static_cast<size_t>(end - at - 1) * sizeof(Cell));
  end[-1].id = 0;
  --size_;
  if (size_ == 0) Clear();
}

void KeyIndex::Clear() {
  std::free(cells_);
  cells_ = nullptr;
  capacity_ = 0;
  size_ = 0;
}

}  // namespace bettong::grid
