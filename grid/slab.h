// Slots of fixed sizes for entries. Pages of 64 KiB hold slots of one size each; an EntryId is
// (page, slot), so it can be checked and resolved even when it is stale. Slots never move; a page
// whose last slot is freed can be given to another size, unless it is the only one of its size with
// room.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/prefetch.h"
#include "grid/entry.h"

namespace bettong::grid {

class Slab {
 public:
  static constexpr size_t kPageBytes = 64u << 10;
  static constexpr size_t kSlotStep = Entry::kSizeStep;
  static constexpr size_t kSlotBytesMin = 24;
  static constexpr size_t kFineSlotBytesMax = 128;
  static constexpr size_t kSlotBytesMax = 512;
  static constexpr size_t kSizes = (kFineSlotBytesMax - kSlotBytesMin) / kSlotStep + 1 +
                                   (kSlotBytesMax - kFineSlotBytesMax) / (2 * kSlotStep);
  static constexpr uint32_t kSlotBits = 13;
  static constexpr size_t kPagesMax = 1u << (32 - kSlotBits);

  Slab();
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // An entry with its size class set and everything else but the generation zero.
  // `bytes` <= kSlotBytesMax.
  EntryId Allocate(size_t bytes);
  void Free(EntryId id);

  Entry* at(EntryId id) const {
    const Page& page = pages_[id.value() >> kSlotBits];
    return reinterpret_cast<Entry*>(page.memory +
                                    (id.value() & ((1u << kSlotBits) - 1)) * page.slot_bytes);
  }
  // The entry, or nullptr if the slot is free or no such slot exists (any more).
  Entry* Resolve(EntryId id) const;
  // Fetches the slot into the cache, if there is such a slot.
  void Prefetch(EntryId id) const {
    if (id.value() >> kSlotBits < pages_.size()) PrefetchLine(at(id));
  }

  // The first id after `position` whose slot is in use, visiting at most `slots_max` slots;
  // `position` 0 starts. Returns the entry or nullptr, and moves `position`; at the end it is 0.
  Entry* Next(uint32_t& position, size_t& slots_left) const;

  // Above every position of Next.
  uint64_t scan_end() const { return static_cast<uint64_t>(pages_.size()) << kSlotBits; }

  size_t bytes_used() const { return bytes_used_; }

 private:
  static constexpr uint16_t kNoSlot = 0xffff;
  static constexpr uint32_t kNoRoom = UINT32_MAX;

  struct Page {
    char* memory = nullptr;
    uint32_t slot_bytes = 0;
    uint16_t slots = 0;
    uint16_t used = 0;
    uint16_t fresh = 0;  // slots from here on were never used
    uint16_t free_head = kNoSlot;
    uint32_t room_index = kNoRoom;  // in its size's list of pages with room
  };

  uint32_t AddPage(size_t slot_bytes);
  void ListRoom(uint32_t page);
  void UnlistRoom(uint32_t page);

  std::vector<Page> pages_;  // page 0 is never used: id 0 means "none"
  std::vector<char*> chunks_;
  std::vector<uint32_t> spare_pages_;  // have memory, hold nothing
  std::array<std::vector<uint32_t>, kSlotBytesMax / kSlotStep + 1> with_room_;
  size_t bytes_used_ = 0;
};

}  // namespace bettong::grid
