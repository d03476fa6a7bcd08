#include "ingest/event_outbox.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "grid/runtime/runtime_metrics.h"

namespace bettong::ingest {
namespace {

// Hands events and the notes behind them to the core.
void SubmitTo(grid::ShardLoop& shard, std::unique_ptr<grid::EventBatch> batch,
              const std::vector<grid::WatermarkNote>& notes) {
  std::vector<grid::Message> messages;
  messages.reserve(notes.size() + 1);
  if (batch != nullptr) {
    messages.emplace_back().kind = grid::MessageKind::kEvents;
    messages.back().events = batch.release();  // the shard owns it from here on
  }
  for (const grid::WatermarkNote& note : notes) {
    messages.emplace_back().kind = grid::MessageKind::kWatermark;
    messages.back().watermark = &note;
  }
  shard.Submit(messages);
}

}  // namespace

class EventOutbox::EventMail : public grid::Mail {
 public:
  EventMail(std::unique_ptr<grid::EventBatch> batch, std::vector<grid::WatermarkNote> notes)
      : batch_(std::move(batch)), notes_(std::move(notes)) {}
  void Deliver(grid::ShardLoop& shard) override { SubmitTo(shard, std::move(batch_), notes_); }

 private:
  std::unique_ptr<grid::EventBatch> batch_;
  std::vector<grid::WatermarkNote> notes_;
};

EventOutbox::EventOutbox(grid::ShardLoop& shard)
    : shard_(shard), outgoing_(shard.slot_map().shards()) {}
EventOutbox::~EventOutbox() = default;

void EventOutbox::SetRecord(const grid::EventRecord* record) {
  record_ = record;
  ++record_number_;
}

void EventOutbox::AddItem(Outgoing& outgoing, Recipient to, const KeyRef& key,
                          const grid::Origin& origin) {
  grid::EventBatch& batch = BatchFor(outgoing);
  if (outgoing.record_number != record_number_) {
    outgoing.record_number = record_number_;
    outgoing.record_offset = static_cast<uint32_t>(batch.records.size());
    std::memcpy(batch.records.Extend(record_->size_bytes), record_, record_->size_bytes);
  }
  const bool has_channel = origin.channel != grid::kNoChannel;
  batch.items.push_back({.record_offset = outgoing.record_offset,
                         .key_offset = static_cast<uint32_t>(batch.keys.size()),
                         // A key is far shorter.
                         .key_size = static_cast<uint32_t>(key.text.size()) & 0xffffff,
                         .kind = to.kind,
                         .hash = key.hash,
                         .slot = key.slot,
                         .entity_class = to.entity_class,
                         .handler = to.handler,
                         .channel = has_channel ? ChannelIn(batch, origin) : uint8_t{0},
                         .occurrence = to.occurrence,
                         .first = to.first,
                         .source = origin.source,
                         .position = origin.position});
  batch.keys.Append(key.text);
  CountCredit(origin.source);
  full_ |= batch.items.size() >= kEventBatchItemsMax ||
           batch.records.size() + batch.keys.size() >= kEventBatchBytesMax;
}

inline void EventOutbox::AddToKey(Recipient to, const KeyRef& key, const grid::Origin& origin) {
  AddItem(outgoing_[shard_.slot_map().ShardOf(key.slot).value()], to, key, origin);
}

void EventOutbox::Add(const KeyRef& key, ClassId entity_class, uint16_t handler,
                      const grid::Origin& origin, uint8_t occurrence) {
  AddToKey({.kind = grid::TurnKind::kEvent,
            .occurrence = occurrence,
            .entity_class = entity_class,
            .handler = handler},
           key, origin);
}

void EventOutbox::AddFirst(const KeyRef& key, ClassId entity_class, uint16_t handler,
                           const grid::Origin& origin) {
  AddToKey({.kind = grid::TurnKind::kEvent,
            .first = true,
            .entity_class = entity_class,
            .handler = handler},
           key, origin);
}

void EventOutbox::AddMessage(const KeyRef& key, ClassId entity_class, const grid::Origin& origin) {
  AddToKey({.kind = grid::TurnKind::kMessage, .entity_class = entity_class}, key, origin);
}

void EventOutbox::AddKeyless(ClassId entity_class, uint16_t handler, const grid::Origin& origin) {
  AddItem(outgoing_[shard_.id().value()],
          {.kind = grid::TurnKind::kKeys, .entity_class = entity_class, .handler = handler},
          KeyRef{}, origin);
}

void EventOutbox::AddFunction(uint16_t function, const grid::Origin& origin) {
  AddItem(outgoing_[shard_.id().value()], {.kind = grid::TurnKind::kFunction, .handler = function},
          KeyRef{}, origin);
}

void EventOutbox::SettleCredits() {
  if (counted_ > 0) grid::AddCredit(credits_, counted_source_, std::exchange(counted_, 0));
}

uint8_t EventOutbox::ChannelIn(grid::EventBatch& batch, const grid::Origin& origin) {
  auto& channels = batch.channels;
  size_t i = channels.size();
  while (i > 0 && channels[i - 1].id != origin.channel) --i;
  if (i == 0) {
    channels.push_back({origin.channel, origin.low_water});
    i = channels.size();
  }
  BETTONG_CHECK(i <= grid::EventBatch::kChannelsMax);
  channels[i - 1].low_water = std::max(channels[i - 1].low_water, origin.low_water);
  return static_cast<uint8_t>(i);
}

void EventOutbox::BeginBatch(Outgoing& outgoing) {
  outgoing.batch = std::make_unique<grid::EventBatch>();
  outgoing.batch->begun_ns = grid::SteadyNs();
  outgoing.batch->items.reserve(outgoing.items);
  outgoing.batch->records.reserve(outgoing.records_bytes);
  outgoing.batch->keys.reserve(outgoing.keys_bytes);
  outgoing.record_number = 0;
}

void EventOutbox::Flush(bool dispatching) {
  if (empty()) return;
  full_ = false;
  SettleCredits();
  shard_.SendCredits(std::exchange(credits_, {}));
  std::vector<grid::WatermarkNote> notes = std::exchange(notes_, {});
  std::unique_ptr<grid::EventBatch> own;
  for (size_t i = 0; i < outgoing_.size(); ++i) {
    const auto to = ShardId(static_cast<uint16_t>(i));
    std::unique_ptr<grid::EventBatch> batch = TakeBatch(outgoing_[i]);
    if (to == shard_.id()) {
      own = std::move(batch);
    } else if (batch != nullptr || !notes.empty()) {
      shard_.Post(to, std::make_unique<EventMail>(std::move(batch), notes));
    }
  }
  // The own shard last: it works on its events right away, the others have theirs by then.
  if (!dispatching) {
    SubmitTo(shard_, std::move(own), notes);
    return;
  }
  if (own != nullptr) SubmitTo(shard_, std::move(own), {});
  if (notes.empty()) return;
  shard_.Defer([&shard = shard_, notes = std::move(notes)] { SubmitTo(shard, nullptr, notes); });
}

std::unique_ptr<grid::EventBatch> EventOutbox::TakeBatch(Outgoing& outgoing) {
  if (outgoing.batch != nullptr) {
    outgoing.items = outgoing.batch->items.size();
    outgoing.records_bytes = outgoing.batch->records.size();
    outgoing.keys_bytes = outgoing.batch->keys.size();
  }
  return std::move(outgoing.batch);
}

}  // namespace bettong::ingest
