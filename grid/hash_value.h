// The two shapes of a Redis hash. A small one is a byte string of (field, value) pairs, each with a
// varint length, kept where strings are kept; a large one is a BigHash on the heap.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace bettong::grid {

inline constexpr size_t kPackedHashFieldsMax = 128;
inline constexpr size_t kPackedHashBytesMax = 2048;

// Reads over the packed form.
class PackedHash {
 public:
  explicit PackedHash(std::string_view bytes) : bytes_(bytes) {}

  size_t size() const;
  std::optional<std::string_view> Get(std::string_view field) const;

  // Calls visit(field, value) until it answers false.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    ByteReader in(bytes_);
    while (!in.empty()) {
      std::string_view field = in.Bytes();
      if (!visit(field, in.Bytes())) return;
    }
  }

  static void Append(std::string_view field, std::string_view value, std::string& out);

 private:
  std::string_view bytes_;
};

// Fields keep their position while they live, so that HSCAN cursors stay good.
class BigHash {
 public:
  size_t size() const { return index_.size(); }
  std::optional<std::string_view> Get(std::string_view field) const;
  bool Set(std::string_view field, std::string_view value);  // true: the field is new
  bool Delete(std::string_view field);
  size_t heap_bytes() const { return heap_bytes_; }

  // Visits from `position` on until visit(field, value) answers false; answers the position to go
  // on from, 0 at the end.
  template <typename Visit>
  uint64_t VisitFrom(uint64_t position, Visit&& visit) const {
    for (; position < items_.size(); ++position) {
      const Item& item = items_[position];
      if (item.used && !visit(std::string_view(item.field), std::string_view(item.value))) {
        return position + 1 < items_.size() ? position + 1 : 0;
      }
    }
    return 0;
  }

 private:
  struct Item {
    std::string field;
    std::string value;
    bool used = false;
  };
  static constexpr size_t kItemOverhead = sizeof(Item) + 32;

  std::deque<Item> items_;
  std::vector<uint32_t> free_;
  absl::flat_hash_map<std::string_view, uint32_t> index_;
  size_t heap_bytes_ = kItemOverhead;
};

}  // namespace bettong::grid
