// A Redis hash too large to be packed: one block of memory per field, found through flat indexes.
// Fields keep their position while they live, so that HSCAN cursors stay good. The indexes grow one
// at a time (linear hashing), so that no write ever waits for a whole table to be rebuilt.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "grid/key_index.h"

namespace bettong::grid {

class BigHash {
 public:
  // An index is split when there are more fields than this for each.
  static constexpr size_t kFieldsPerIndex = 4096;

  explicit BigHash(uint64_t seed);
  ~BigHash();
  BigHash(const BigHash&) = delete;
  BigHash& operator=(const BigHash&) = delete;

  size_t size() const { return size_; }
  std::optional<std::string_view> Get(std::string_view field) const;
  bool Set(std::string_view field, std::string_view value);  // true: the field is new
  bool Delete(std::string_view field);
  size_t heap_bytes() const { return field_bytes_ + index_bytes_; }

  // Three steps of fetching a field into the cache ahead of its use.
  uint32_t HashOf(std::string_view field) const;
  void PrefetchCell(uint32_t hash) const { IndexOf(hash).Prefetch(hash); }
  void PrefetchPosition(uint32_t hash) const;
  void PrefetchField(uint32_t hash) const;

  // Visits from `position` on until visit(field, value) answers false; answers the position to go
  // on from, 0 at the end.
  template <typename Visit>
  uint64_t VisitFrom(uint64_t position, Visit&& visit) const {
    for (; position < fields_.size(); ++position) {
      const Field* field = fields_[position];
      if (field != nullptr && !visit(field->name(), field->value())) {
        return position + 1 < fields_.size() ? position + 1 : 0;
      }
    }
    return 0;
  }

 private:
  struct Field {
    uint32_t name_size;
    uint32_t value_size;
    uint32_t value_capacity;

    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
    std::string_view name() const { return {bytes(), name_size}; }
    std::string_view value() const { return {bytes() + name_size, value_size}; }
    size_t heap_bytes() const;
  };

  Field* NewField(std::string_view name, std::string_view value, size_t capacity);
  void FreeField(Field* field);
  // The place of the field, as the indexes know it: its position + 1; 0: there is none.
  EntryId Find(std::string_view field, uint32_t hash) const;
  KeyIndex& IndexOf(uint32_t hash) { return indexes_[IndexNumber(hash)]; }
  const KeyIndex& IndexOf(uint32_t hash) const { return indexes_[IndexNumber(hash)]; }
  size_t IndexNumber(uint32_t hash) const;
  void Insert(uint32_t hash, EntryId place);
  void Erase(uint32_t hash, EntryId place);
  void SplitNextIndex();

  const uint64_t seed_;
  size_t size_ = 0;
  std::deque<Field*> fields_;      // by position; null: free
  std::vector<uint32_t> free_;     // positions
  std::vector<KeyIndex> indexes_;  // of the hashes with the same low bits
  size_t field_bytes_;
  size_t index_bytes_ = 0;
};

}  // namespace bettong::grid
