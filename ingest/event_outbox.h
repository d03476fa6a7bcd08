// Gathers decoded events by the shard that owns their keys, and sends them: own events are
// submitted, others travel as mail. Watermark notes go to every shard behind the events gathered
// before them. The origin of the events learns of them before any shard does.
//
// Owned by a shard's gate, on that shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/key_hash.h"
#include "grid/catalog.h"
#include "grid/message.h"
#include "grid/runtime/shard_loop.h"
#include "grid/source_ref.h"

namespace bettong::ingest {

inline constexpr size_t kEventBatchItemsMax = 1024;
inline constexpr size_t kEventBatchBytesMax = 1u << 20;

class EventOutbox {
 public:
  explicit EventOutbox(grid::ShardLoop& shard);
  ~EventOutbox();

  // Events added from here on are copies of this record, once per shard, until the next call.
  void SetRecord(const grid::EventRecord* record);
  void Add(const KeyRef& key, ClassId entity_class, uint16_t handler, const grid::Origin& origin,
           uint8_t occurrence = 0);
  // Before what waits for the key.
  void AddFirst(const KeyRef& key, ClassId entity_class, uint16_t handler,
                const grid::Origin& origin);
  void AddMessage(const KeyRef& key, ClassId entity_class, const grid::Origin& origin);
  // For the compute host to find the keys: stays on this shard.
  void AddKeyless(ClassId entity_class, uint16_t handler, const grid::Origin& origin);
  // For a function, which has no key: likewise.
  void AddFunction(uint16_t function, const grid::Origin& origin);
  void AddNote(const grid::WatermarkNote& note) { notes_.push_back(note); }

  // Whether it is time to flush before the read is over.
  bool full() const { return full_; }
  bool empty() const { return counted_ == 0 && credits_.empty() && notes_.empty(); }
  // `dispatching`: called while the shard carries out effects, when it takes nothing but events.
  void Flush(bool dispatching);

 private:
  struct Outgoing {
    std::unique_ptr<grid::EventBatch> batch;
    uint64_t record_number = 0;  // the record copied last
    uint32_t record_offset = 0;
    size_t items = 0;  // in the batch before, for reserving
    size_t records_bytes = 0;
    size_t keys_bytes = 0;
  };
  class EventMail;

  grid::EventBatch& BatchFor(Outgoing& outgoing) {
    if (outgoing.batch == nullptr) BeginBatch(outgoing);
    return *outgoing.batch;
  }
  void BeginBatch(Outgoing& outgoing);
  static std::unique_ptr<grid::EventBatch> TakeBatch(Outgoing& outgoing);
  // What an item says of whom it is for, beside the key.
  struct Recipient {
    grid::TurnKind kind;
    uint8_t occurrence = 0;
    bool first = false;
    ClassId entity_class;
    uint16_t handler = 0;
  };
  void AddToKey(Recipient to, const KeyRef& key, const grid::Origin& origin);
  void AddItem(Outgoing& outgoing, Recipient to, const KeyRef& key, const grid::Origin& origin);
  // Of the origin's channel in the batch, and one; 0: it has none.
  uint8_t ChannelIn(grid::EventBatch& batch, const grid::Origin& origin);
  void CountCredit(grid::SourceRef source) {
    if (source != counted_source_) SettleCredits();
    counted_source_ = source;
    ++counted_;
  }
  void SettleCredits();

  grid::ShardLoop& shard_;
  std::vector<Outgoing> outgoing_;  // by shard
  std::vector<grid::WatermarkNote> notes_;
  std::vector<grid::Credit> credits_;
  // Credits that are not in credits_ yet: events come one behind the other from one source.
  grid::SourceRef counted_source_;
  int32_t counted_ = 0;
  const grid::EventRecord* record_ = nullptr;
  uint64_t record_number_ = 0;
  bool full_ = false;
};

}  // namespace bettong::ingest
