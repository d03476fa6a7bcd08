#include "grid/slab.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/check.h"
#include "base/memory.h"

namespace bettong::grid {

Block* Block::Make(std::string_view bytes, size_t capacity) {
  if (capacity < bytes.size()) capacity = bytes.size();
  void* memory = std::malloc(sizeof(Block) + capacity);
  BETTONG_CHECK(memory != nullptr);
  auto* block = new (memory) Block;
  block->size = static_cast<uint32_t>(bytes.size());
  block->capacity = static_cast<uint32_t>(capacity);
  if (!bytes.empty()) std::memcpy(block->bytes(), bytes.data(), bytes.size());
  return block;
}

void Block::Free(Block* block) { std::free(block); }

Slab::Slab() { pages_.emplace_back(); }

Slab::~Slab() {
  for (char* chunk : chunks_) FreeMemoryChunk(chunk);
}

uint32_t Slab::AddPage(size_t slot_bytes) {
  if (spare_pages_.empty()) {
    char* chunk = AllocateMemoryChunk();
    chunks_.push_back(chunk);
    for (size_t at = kMemoryChunkBytes; at > 0; at -= kPageBytes) {
      BETTONG_CHECK(pages_.size() < kPagesMax);
      spare_pages_.push_back(static_cast<uint32_t>(pages_.size()));
      pages_.emplace_back().memory = chunk + (at - kPageBytes);
    }
  }
  uint32_t number = spare_pages_.back();
  spare_pages_.pop_back();
  Page& page = pages_[number];
  page.slot_bytes = static_cast<uint32_t>(slot_bytes);
  page.slots = static_cast<uint16_t>(kPageBytes / slot_bytes);
  page.used = 0;
  page.fresh = 0;
  page.free_head = kNoSlot;
  bytes_used_ += kPageBytes;
  return number;
}

void Slab::ListRoom(uint32_t number) {
  auto& with_room = with_room_[pages_[number].slot_bytes / kSlotStep];
  pages_[number].room_index = static_cast<uint32_t>(with_room.size());
  with_room.push_back(number);
}

void Slab::UnlistRoom(uint32_t number) {
  auto& with_room = with_room_[pages_[number].slot_bytes / kSlotStep];
  uint32_t index = pages_[number].room_index;
  with_room[index] = with_room.back();
  pages_[with_room[index]].room_index = index;
  with_room.pop_back();
  pages_[number].room_index = kNoRoom;
}

EntryId Slab::Allocate(size_t bytes) {
  BETTONG_CHECK(bytes <= kSlotBytesMax);
  // Finer steps where a few bytes are a part of the slot that counts.
  size_t step = bytes <= kFineSlotBytesMax ? kSlotStep : 2 * kSlotStep;
  size_t slot_bytes = bytes <= kSlotBytesMin ? kSlotBytesMin : (bytes + step - 1) / step * step;
  auto& with_room = with_room_[slot_bytes / kSlotStep];
  if (with_room.empty()) ListRoom(AddPage(slot_bytes));
  uint32_t number = with_room.back();
  Page& page = pages_[number];
  uint16_t slot;
  uint8_t generation = 0;
  if (page.free_head != kNoSlot) {
    slot = page.free_head;
    char* at = page.memory + slot * page.slot_bytes;
    page.free_head = LoadUnaligned<uint16_t>(at + sizeof(Entry));
    generation = reinterpret_cast<Entry*>(at)->generation;
  } else {
    slot = page.fresh++;
  }
  auto* entry = new (page.memory + slot * page.slot_bytes) Entry;
  entry->size_class = static_cast<uint8_t>(slot_bytes / kSlotStep);
  entry->generation = generation;
  if (++page.used == page.slots) UnlistRoom(number);
  return EntryId(number << kSlotBits | slot);
}

void Slab::Free(EntryId id) {
  uint32_t number = id.value() >> kSlotBits;
  Page& page = pages_[number];
  Entry* entry = at(id);
  entry->type = ValueType::kNone;
  entry->flags = 0;
  StoreUnaligned(reinterpret_cast<char*>(entry + 1), page.free_head);
  page.free_head = static_cast<uint16_t>(id.value() & ((1u << kSlotBits) - 1));
  --page.used;
  if (page.room_index == kNoRoom) ListRoom(number);
  // Give an empty page back, unless it is all the room that its size has.
  if (page.used == 0 && with_room_[page.slot_bytes / kSlotStep].size() > 1) {
    UnlistRoom(number);
    page.slots = 0;
    page.fresh = 0;
    spare_pages_.push_back(number);
    bytes_used_ -= kPageBytes;
  }
}

Entry* Slab::Resolve(EntryId id) const {
  uint32_t number = id.value() >> kSlotBits;
  if (number >= pages_.size()) return nullptr;
  if ((id.value() & ((1u << kSlotBits) - 1)) >= pages_[number].fresh || pages_[number].slots == 0) {
    return nullptr;
  }
  Entry* entry = at(id);
  return entry->type == ValueType::kNone ? nullptr : entry;
}

Entry* Slab::Next(uint32_t& position, size_t& slots_left) const {
  uint32_t number = position >> kSlotBits;
  uint32_t slot = position & ((1u << kSlotBits) - 1);
  if (number == 0) number = 1, slot = 0;
  for (; number < pages_.size(); ++number, slot = 0) {
    const Page& page = pages_[number];
    if (page.slots == 0) continue;
    for (; slot < page.fresh; ++slot) {
      if (slots_left == 0) {
        position = number << kSlotBits | slot;
        return nullptr;
      }
      --slots_left;
      auto* entry = reinterpret_cast<Entry*>(page.memory + slot * page.slot_bytes);
      if (entry->type != ValueType::kNone) {
        position = number << kSlotBits | (slot + 1);
        return entry;
      }
    }
  }
  position = 0;
  return nullptr;
}

}  // namespace bettong::grid
