#include "grid/key_index.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace bettong::grid {

namespace {
constexpr uint32_t kCapacityMin = 16;
constexpr uint32_t kOverflowMin = 48;
}  // namespace

bool KeyIndex::InsertCell(Cell cell) {
  Cell* at = cells_ + Home(cell.hash);
  while (at->id != 0 && at->hash <= cell.hash) ++at;
  Cell* gap = at;
  while (gap->id != 0) ++gap;
  if (gap == cells_ + cells_allocated() - 1) return false;
  std::memmove(at + 1, at, static_cast<size_t>(gap - at) * sizeof(Cell));
  *at = cell;
  return true;
}

void KeyIndex::Insert(uint32_t hash, EntryId id) {
  if (cells_ == nullptr || size_ >= capacity_ - capacity_ / 8) Grow();
  while (!InsertCell(Cell{hash, id.value()})) Grow();
  ++size_;
}

void KeyIndex::Grow() {
  // A crowd at the upper end of a table that is half empty: only hashes chosen to collide get here,
  // and more homes would not part them.
  bool crowd = cells_ != nullptr && size_ < capacity_ / 2;
  uint32_t overflow = crowd ? overflow_ * 2 : std::max(overflow_, kOverflowMin);
  uint32_t capacity = cells_ == nullptr ? kCapacityMin
                      : crowd           ? capacity_
                                        : capacity_ + capacity_ / 4 + 4;
  while (!Rebuild(capacity, overflow)) overflow *= 2;
}

bool KeyIndex::Rebuild(uint32_t capacity, uint32_t overflow) {
  size_t allocated = size_t{capacity} + overflow;
  auto* cells = static_cast<Cell*>(std::calloc(allocated, sizeof(Cell)));
  BETTONG_CHECK(cells != nullptr);
  size_t next = 0;
  for (size_t i = 0; cells_ != nullptr && i < cells_allocated(); ++i) {
    if (cells_[i].id == 0) continue;
    size_t home = static_cast<uint64_t>(cells_[i].hash) * capacity >> 32;
    if (next < home) next = home;
    if (next >= allocated - 1) {
      std::free(cells);
      return false;
    }
    cells[next++] = cells_[i];
  }
  std::free(cells_);
  cells_ = cells;
  capacity_ = capacity;
  overflow_ = overflow;
  return true;
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
  if (size_ == 0) return Clear();
  if (capacity_ > 4 * kCapacityMin && size_ < capacity_ / 4) Rebuild(capacity_ / 2, overflow_);
}

void KeyIndex::Clear() {
  std::free(cells_);
  cells_ = nullptr;
  capacity_ = 0;
  overflow_ = 0;
  size_ = 0;
}

}  // namespace bettong::grid
