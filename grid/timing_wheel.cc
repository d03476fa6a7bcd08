#include "grid/timing_wheel.h"

#include <algorithm>
#include <bit>

namespace bettong::grid {

TimingWheel::Chunk* TimingWheel::NewChunk() {
  if (free_chunks_ == nullptr) {
    slabs_.push_back(std::make_unique_for_overwrite<Chunk[]>(kSlabChunks));
    for (size_t i = 0; i < kSlabChunks; ++i) {
      slabs_.back()[i].next = free_chunks_;
      free_chunks_ = &slabs_.back()[i];
    }
  }
  ++chunks_in_use_;
  Chunk* chunk = free_chunks_;
  free_chunks_ = chunk->next;
  chunk->next = nullptr;
  chunk->count = 0;
  return chunk;
}

void TimingWheel::FreeChunk(Level& level, uint64_t ring_position, Chunk* chunk, Chunk* before) {
  if (sweep_.chunk == chunk) sweep_.chunk = chunk->next;
  if (sweep_.before == chunk) sweep_.before = nullptr;
  Chunk*& head = level.buckets[ring_position];
  if (before != nullptr) {
    before->next = chunk->next;
  } else {
    head = chunk->next;
    if (head == nullptr) level.occupied[ring_position / 64] &= ~(1ull << (ring_position % 64));
  }
  chunk->next = free_chunks_;
  free_chunks_ = chunk;
  --chunks_in_use_;
}

void TimingWheel::MoveRecord(Chunk& from, uint32_t from_index, Chunk& to, uint32_t to_index) {
  to.ids[to_index] = from.ids[from_index];
  to.due_low[to_index] = from.due_low[from_index];
  to.generations[to_index] = from.generations[from_index];
}

void TimingWheel::Push(int level_number, uint64_t bucket, Record record) {
  Level& level = levels_[level_number];
  Chunk*& head = level.buckets[bucket % kBuckets];
  if (head == nullptr || head->count == kChunkRecords) {
    Chunk* chunk = NewChunk();
    chunk->next = head;
    head = chunk;
    level.occupied[bucket % kBuckets / 64] |= 1ull << (bucket % 64);
  }
  uint32_t at = head->count++;
  head->ids[at] = record.id;
  head->due_low[at] = record.due_low;
  head->generations[at] = record.generation;
}

bool TimingWheel::Pop(int level_number, uint64_t bucket, Record& record) {
  Level& level = levels_[level_number];
  Chunk*& head = level.buckets[bucket % kBuckets];
  if (head == nullptr) return false;
  uint32_t at = --head->count;
  record = Record{head->ids[at], head->due_low[at], head->generations[at]};
  if (at == 0) FreeChunk(level, bucket % kBuckets, head, nullptr);
  if (level_number == 0) --size_;
  return true;
}

void TimingWheel::File(EntryId id, uint8_t generation, TimeMs due_ms) {
  ++size_;
  uint64_t due = std::max(Tick(due_ms), levels_[0].next);
  Record record{id.value(), static_cast<uint32_t>(due), generation};
  for (int level = 0; level < kLevels; ++level) {
    uint64_t bucket = due >> (kWidthBits * level);
    // One bucket less than the ring holds, because the bucket before `next` may be half spread.
    uint64_t limit = levels_[level].next + kBuckets - 2;
    if (bucket < limit || level == kLevels - 1) {
      Push(level, std::min(bucket, limit), record);
      return;
    }
  }
}

// The first occupied bucket at or after level.next, as an absolute number; UINT64_MAX if none.
uint64_t TimingWheel::FirstOccupied(const Level& level) {
  uint64_t start = level.next % kBuckets;
  constexpr uint64_t kWords = kBuckets / 64;
  for (uint64_t i = 0; i <= kWords; ++i) {
    uint64_t word = (start / 64 + i) % kWords;
    uint64_t bits = level.occupied[word];
    if (i == 0) bits &= ~0ull << (start % 64);
    if (i == kWords) bits &= (start % 64) == 0 ? 0 : ~(~0ull << (start % 64));
    if (bits != 0) {
      uint64_t position = word * 64 + static_cast<uint64_t>(std::countr_zero(bits));
      return level.next + (position + kBuckets - start) % kBuckets;
    }
  }
  return UINT64_MAX;
}

TimingWheel::Step TimingWheel::NextStep() const {
  Step next;
  if (size_ == 0) return next;
  // Coarse levels first: of two steps at one time the spreading comes before the firing.
  for (int level = kLevels - 1; level >= 0; --level) {
    uint64_t bucket = FirstOccupied(levels_[level]);
    if (bucket == UINT64_MAX) continue;
    uint64_t begin = bucket << (kWidthBits * level);
    uint64_t lead = level == 0 ? 0 : LeadMs(level);
    TimeMs at_ms = static_cast<TimeMs>(begin > lead ? begin - lead : 0) + kOriginMs;
    if (at_ms < next.at_ms) next = Step{at_ms, level, bucket};
  }
  return next;
}

void TimingWheel::MoveTo(TimeMs now_ms) {
  const uint64_t now = Tick(now_ms);
  // Every bucket that would have been handled by now and still counts as ahead is empty, or is the
  // one the current step is about.
  levels_[0].next = std::max(levels_[0].next, now);
  for (int level = 1; level < kLevels; ++level) {
    uint64_t begun = (now + LeadMs(level)) >> (kWidthBits * level);
    levels_[level].next = std::max(levels_[level].next, begun);
  }
}

size_t TimingWheel::Cascade(int level, uint64_t bucket, size_t budget) {
  size_t moved = 0;
  Record record;
  uint64_t begin = bucket << (kWidthBits * level);
  while (moved < budget && Pop(level, bucket, record)) {
    ++moved;
    uint64_t due = begin + static_cast<uint32_t>(record.due_low - static_cast<uint32_t>(begin));
    due = std::max(due, levels_[0].next);
    int to = level - 1;
    uint64_t to_bucket = due >> (kWidthBits * to);
    to_bucket = std::max(to_bucket, levels_[to].next);
    Push(to, to_bucket, record);
  }
  return moved;
}

bool TimingWheel::FindChunkToSweep() {
  // Each bucket once, and the first one again.
  for (uint64_t i = 0; sweep_.chunk == nullptr && i <= kLevels * kBuckets; ++i) {
    if (++sweep_.bucket == kBuckets) {
      sweep_.bucket = 0;
      sweep_.level = (sweep_.level + 1) % kLevels;
    }
    sweep_.chunk = levels_[sweep_.level].buckets[sweep_.bucket];
    sweep_.before = nullptr;
  }
  return sweep_.chunk != nullptr;
}

// What is left of a swept chunk fills up the one before it.
void TimingWheel::FinishSweptChunk() {
  Level& level = levels_[sweep_.level];
  Chunk* chunk = sweep_.chunk;
  Chunk* before = sweep_.before;
  if (before != nullptr) {
    while (chunk->count > 0 && before->count < kChunkRecords) {
      MoveRecord(*chunk, --chunk->count, *before, before->count++);
    }
  }
  if (chunk->count > 0) {
    sweep_.before = chunk;
    sweep_.chunk = chunk->next;
    return;
  }
  if (before == nullptr && level.buckets[sweep_.bucket] != chunk) {  // others were pushed before it
    before = level.buckets[sweep_.bucket];
    while (before->next != chunk) before = before->next;
  }
  FreeChunk(level, sweep_.bucket, chunk, before);
  sweep_.before = before;
}

}  // namespace bettong::grid
