// A hierarchical timing wheel over entries' deadlines. Filing is O(1); refreshing a deadline files
// nothing: the old record comes up at the old time, and its owner looks at the entry and files it
// again. Level 0 has one bucket per millisecond, each further level buckets 256 times as wide.
// Records that are no longer the current one of their entry stay until they come up or are swept.
// Coarse buckets are spread over the finer level half a bucket's width before they begin, in
// slices, so that neither a bucket with a million records nor a jump in time ever stalls the shard.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"

namespace bettong::grid {

class TimingWheel {
 public:
  TimingWheel() = default;
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  // A record for entry `id`; `generation` tells the owner whether the record is the current one.
  void File(EntryId id, uint8_t generation, TimeMs due_ms);

  // Lets time pass up to `now_ms` and calls fire(id, generation) for every record due by then, but
  // does at most `budget` units of work (a record fired is one, a record moved to a finer level a
  // quarter); answers how many it did. Firing may file again.
  // soon(id) is called for records that are going to be fired shortly.
  template <typename Fire, typename Soon>
  size_t Advance(TimeMs now_ms, size_t budget, Fire&& fire, Soon&& soon) {
    size_t left = budget;
    while (left > 0) {
      Step step = NextStep();
      if (step.at_ms > now_ms) {
        MoveTo(now_ms);
        break;
      }
      MoveTo(step.at_ms);
      if (step.level > 0) {
        size_t moved = Cascade(step.level, step.bucket, left * kCascadedPerUnit);
        left -= (moved + kCascadedPerUnit - 1) / kCascadedPerUnit;
        continue;
      }
      Record record;
      while (left > 0 && Pop(0, step.bucket, record)) {
        --left;
        const Chunk* next = levels_[0].buckets[step.bucket % kBuckets];
        if (next != nullptr && next->count > kSoonRecords) {
          soon(EntryId(next->ids[next->count - 1 - kSoonRecords]));
        }
        fire(EntryId(record.id), record.generation);
      }
    }
    return budget - left;
  }
  template <typename Fire>
  size_t Advance(TimeMs now_ms, size_t budget, Fire&& fire) {
    return Advance(now_ms, budget, fire, [](EntryId) {});
  }

  // Lets time pass without looking for what is due; only when there are no records.
  void SkipTo(TimeMs now_ms) { MoveTo(now_ms); }

  // Looks at about `budget` records, going round and round, and drops those for which
  // keep(id, generation) is false.
  template <typename Keep>
  void Sweep(size_t budget, Keep&& keep) {
    for (size_t seen = 0; seen < budget && FindChunkToSweep();) {
      Chunk& chunk = *sweep_.chunk;
      seen += chunk.count;
      for (uint32_t i = chunk.count; i-- > 0;) {
        if (keep(EntryId(chunk.ids[i]), chunk.generations[i])) continue;
        MoveRecord(chunk, --chunk.count, chunk, i);
        --size_;
      }
      FinishSweptChunk();
    }
  }

  // The next time at which Advance has something to do; kNeverExpires when empty.
  TimeMs NextWake() const { return size_ == 0 ? kNeverExpires : NextStep().at_ms; }

  size_t size() const { return size_; }
  // Of the chunks that hold records; what a burst took is kept for the next one.
  size_t bytes_in_use() const { return chunks_in_use_ * sizeof(Chunk); }
  size_t bytes() const { return slabs_.size() * kSlabChunks * sizeof(Chunk); }

 private:
  static constexpr int kLevels = 5;
  static constexpr int kWidthBits = 8;       // a level's bucket spans 2^8 of the level below
  static constexpr uint64_t kBuckets = 512;  // twice that: room for what is spread early
  static constexpr size_t kChunkRecords = 55;
  static constexpr size_t kSoonRecords = 8;
  static constexpr size_t kCascadedPerUnit = 4;
  // The wheel's own time has no negative numbers: it begins at -2^43 ms, in the year 1691.
  static constexpr TimeMs kOriginMs = -(TimeMs{1} << 43);
  static constexpr size_t kSlabChunks = 64;

  struct Record {
    uint32_t id;
    uint32_t due_low;  // low 32 bits of the due time; the bucket knows the rest
    uint8_t generation;
  };
  struct Chunk {  // 512 bytes; records of a bucket, last in first out
    Chunk* next;
    uint32_t count;
    uint32_t ids[kChunkRecords];
    uint32_t due_low[kChunkRecords];
    uint8_t generations[kChunkRecords];
  };
  struct Level {
    std::array<Chunk*, kBuckets> buckets{};
    std::array<uint64_t, kBuckets / 64> occupied{};
    uint64_t next = 0;  // the first bucket (absolute number) that has not been spread or fired
  };
  struct SweepPosition {
    int level = 0;
    uint64_t bucket = 0;      // ring position
    Chunk* chunk = nullptr;   // comes next; null: the bucket is done
    Chunk* before = nullptr;  // its predecessor if known
  };
  struct Step {
    TimeMs at_ms = kNeverExpires;
    int level = 0;
    uint64_t bucket = 0;
  };

  static uint64_t Tick(TimeMs time_ms) {
    if (time_ms <= kOriginMs) return 0;
    return static_cast<uint64_t>(std::min<TimeMs>(time_ms, INT64_MAX / 2) - kOriginMs);
  }
  static uint64_t LeadMs(int level) { return 1ull << (kWidthBits * level - 1); }

  Step NextStep() const;
  void MoveTo(TimeMs now_ms);
  size_t Cascade(int level, uint64_t bucket, size_t budget);
  void Push(int level, uint64_t bucket, Record record);
  bool Pop(int level, uint64_t bucket, Record& record);
  static uint64_t FirstOccupied(const Level& level);
  Chunk* NewChunk();
  // Takes the chunk out of its bucket, its predecessor given unless it is the first.
  void FreeChunk(Level& level, uint64_t ring_position, Chunk* chunk, Chunk* before);
  static void MoveRecord(Chunk& from, uint32_t from_index, Chunk& to, uint32_t to_index);
  bool FindChunkToSweep();
  void FinishSweptChunk();

  std::array<Level, kLevels> levels_;
  size_t size_ = 0;
  SweepPosition sweep_;
  Chunk* free_chunks_ = nullptr;
  size_t chunks_in_use_ = 0;
  std::vector<std::unique_ptr<Chunk[]>> slabs_;
};

}  // namespace bettong::grid
