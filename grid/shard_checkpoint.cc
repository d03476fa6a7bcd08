// The rolling checkpoint: images of all values, written into the log beside the changes that go on.
// See docs/exactly-once.md.
#include <algorithm>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/image_cursor.h"
#include "grid/shard_impl.h"

namespace bettong::grid {
namespace {

// Slots looked at in one step where there are no values.
constexpr size_t kSlotsPerStep = 4096;

}  // namespace

void Shard::Impl::BeginRound() {
  images_ = std::make_unique<ImageCursor>();
  for (uint16_t i = 0; i < slot_map_.partitions(); ++i) {
    if (slot_map_.ShardOf(PartitionId(i)) == options_.id) journal_.BeginRound(PartitionId(i));
  }
}

bool Shard::Impl::WriteImages(size_t bytes) {
  BETTONG_CHECK(images_ != nullptr);
  size_t written = 0;
  size_t slots = kSlotsPerStep;
  while (written < bytes && slots > 0) {
    if (images_->in_value) {
      written += ContinueImage();
      continue;
    }
    if (images_->at_the_end) return images_->awaited == 0;
    Entry* entry = table_.Next(images_->position, slots);
    if (entry == nullptr) {
      images_->at_the_end = images_->position == 0;  // or the step's slots are used up
      return images_->at_the_end && images_->awaited == 0;
    }
    if (entry->has(kPhantom)) continue;
    if (BETTONG_PLANTED(checkpoint_without_lent_entities) && entry->has(kLent) &&
        entry->type == ValueType::kEntity) {
      continue;
    }
    if (entry->has(kLent) && table_.class_of(entry).row.has_containers() &&
        !LoanOf(entry).rests()) {
      // The lane is at its containers.
      LoanOf(entry).Wait(WaitingMessage{.image = true});
      ++images_->awaited;
      continue;
    }
    written += WriteImage(EntryId(images_->position - 1), entry);
  }
  return false;
}

void Shard::Impl::WriteAwaitedImage(EntryId id) {
  --images_->awaited;
  Entry* entry = id == EntryId(0) ? nullptr : table_.at(id);
  // What has taken its place is in the log as a whole.
  if (entry != nullptr && entry->type == ValueType::kEntity && !entry->has(kPhantom)) {
    WriteImage(id, entry);
  }
}

size_t Shard::Impl::WriteImage(EntryId id, Entry* entry) {
  const KeyRef key = slot_map_.Key(entry->key());
  size_t bytes = key.text.size() + 4;
  switch (entry->type) {
    case ValueType::kNone:
      return 0;
    case ValueType::kString:
      ByteWriter(*Change(key, ChangeOp::kNew)).Fixed(ValueType::kString);
      ByteWriter(*Change(key, ChangeOp::kPutString)).Bytes(table_.bytes(entry));
      bytes += table_.bytes(entry).size() + 4;
      break;
    case ValueType::kHash:
      ByteWriter(*Change(key, ChangeOp::kNew)).Fixed(ValueType::kHash);
      if (!entry->has(kBigHash)) {
        const PackedHash hash(table_.bytes(entry));
        ByteWriter out(*Change(key, ChangeOp::kHashPiece));
        out.Varint(hash.size());
        hash.ForEach([&](std::string_view field, std::string_view value) {
          out.Bytes(field), out.Bytes(value);
          return true;
        });
        bytes += table_.bytes(entry).size() + 4;
        break;
      }
      images_->Begin(id, key.text, ValueType::kHash);
      return bytes;
    case ValueType::kStream:
      ByteWriter(*Change(key, ChangeOp::kNew)).Fixed(ValueType::kStream);
      images_->Begin(id, key.text, ValueType::kStream);
      return bytes;
    case ValueType::kEntity: {
      scratch_.clear();
      table_.class_of(entry).row.EncodeRow(table_.row(entry), scratch_);
      ByteWriter(*RowChange(key, ChangeOp::kEntityCreate, table_.class_id(entry))).Bytes(scratch_);
      if (entry->has(kOwnTtl)) ByteWriter(*Change(key, ChangeOp::kOwnTtl)).Fixed(OwnTtl(id));
      bytes += scratch_.size() + 2;
      break;
    }
  }
  return bytes + WriteDeadline(key, entry);
}

size_t Shard::Impl::WriteDeadline(const KeyRef& key, const Entry* entry) {
  if (!entry->has(kHasDeadline) || BETTONG_PLANTED(checkpoint_without_deadlines)) return 0;
  ByteWriter(*Change(key, ChangeOp::kDeadline)).Fixed(entry->deadline_ms());
  return 10;
}

// A piece more of a large hash or a stream. What happens to it meanwhile is recorded as ever, so
// that the pieces need not be of one moment.
size_t Shard::Impl::ContinueImage() {
  ImageCursor& at = *images_;
  const KeyRef key = slot_map_.Key(at.key);
  Entry* entry = table_.Find(key) == at.id ? table_.at(at.id) : nullptr;
  if (entry == nullptr || entry->has(kPhantom) || entry->type != at.type) {
    at.in_value = false;  // it is gone, and so the log says
    return 0;
  }
  std::string piece;
  uint64_t count = 0;
  ByteWriter out(piece);
  bool finished = true;
  if (entry->type == ValueType::kHash) {
    if (entry->has(kBigHash)) {
      at.hash_position = entry->outside<BigHash>()->VisitFrom(
          at.hash_position, [&](std::string_view field, std::string_view value) {
            out.Bytes(field), out.Bytes(value);
            ++count;
            return piece.size() < options_.image_piece_bytes;
          });
      finished = at.hash_position == 0;
    }
  } else {
    const StreamValue& stream = *table_.stream(entry);
    size_t i = stream.LowerBound(at.next_entry);
    for (; i < stream.entries.size() && piece.size() < options_.image_piece_bytes; ++i, ++count) {
      const StreamEntry& each = stream.entries[i];
      out.Fixed(each.id.ms);
      out.Fixed(each.id.sequence);
      out.Fixed(each.form);
      out.Bytes(each.payload);
    }
    finished = i == stream.entries.size();
    if (!finished) at.next_entry = stream.entries[i].id;
  }
  if (count > 0) {
    const bool hash = entry->type == ValueType::kHash;
    ByteWriter change(*Change(key, hash ? ChangeOp::kHashPiece : ChangeOp::kStreamPiece));
    change.Varint(count);
    change.Raw(piece);
  }
  if (finished) {
    if (entry->type == ValueType::kStream) {
      const StreamValue& stream = *table_.stream(entry);
      ByteWriter marks(*Change(key, ChangeOp::kStreamMarks));
      for (const StreamEntryId& id : {stream.last_id, stream.max_deleted_id}) {
        marks.Fixed(id.ms), marks.Fixed(id.sequence);
      }
      marks.Fixed(stream.entries_added);
    }
    WriteDeadline(key, entry);
    at.in_value = false;
  }
  return piece.size() + 32;
}

void Shard::Impl::EndRound() {
  for (uint16_t i = 0; i < slot_map_.partitions(); ++i) {
    const PartitionId partition(i);
    if (slot_map_.ShardOf(partition) != options_.id) continue;
    journal_.Sequences(partition, output_sequences_[i]);
    if (confirmed_[i] > 0) journal_.Confirmed(partition, confirmed_[i]);
    confirmed_noted_[i] = confirmed_[i];
    for (const auto& [id, channel] : marks_[i].ChannelsInOrder()) {
      if (BETTONG_PLANTED(checkpoint_without_marks)) break;
      if (channel->low_water > 0) journal_.LowWater(partition, id, channel->low_water);
      for (const AppliedMarks::Mark& mark : channel->marks) {
        journal_.Applied(partition, id, mark.position, mark.target);
      }
    }
    for (const auto& [name, state] : endpoints_[i]) journal_.Endpoint(partition, name, state);
    if (partition == own_partition_) {
      std::fill(watermarks_noted_.begin(), watermarks_noted_.end(), kNoTime);
      NoteWatermarks();
    }
    journal_.EndRound(partition);
  }
  images_.reset();
}

// What of event time has moved since the log was told.
void Shard::Impl::NoteWatermarks() {
  for (size_t i = 0; i < watermarks_noted_.size(); ++i) {
    const TimeMs watermark_ms = watermarks_.OfStream(StreamId(static_cast<uint16_t>(i)));
    if (watermark_ms == watermarks_noted_[i]) continue;
    watermarks_noted_[i] = watermark_ms;
    journal_.Watermark(own_partition_, catalog_.streams[i].name, watermark_ms);
  }
}

// In the section of an endpoint that tells what is done, as far as the log does not know yet.
void Shard::Impl::NoteWatermarksBeside(PartitionId partition) {
  for (size_t i = 0; i < watermarks_noted_.size(); ++i) {
    const TimeMs watermark_ms = watermarks_.OfStream(StreamId(static_cast<uint16_t>(i)));
    if (watermark_ms == watermarks_noted_[i]) continue;
    journal_.Watermark(partition, catalog_.streams[i].name, watermark_ms);
  }
}

// Lazily, with whatever is written next: what is not confirmed in the log is sent once more.
void Shard::Impl::NoteConfirmed() {
  for (size_t i = 0; i < confirmed_.size(); ++i) {
    if (confirmed_[i] == confirmed_noted_[i]) continue;
    confirmed_noted_[i] = confirmed_[i];
    journal_.Confirmed(PartitionId(static_cast<uint16_t>(i)), confirmed_[i]);
  }
}

// --- the shard's face

size_t Shard::recorded_bytes() const { return impl_->journal_.bytes(); }

void Shard::TakeRecord(wal::LogRecord& record) {
  if (impl_->options_.record_changes) {
    impl_->NoteWatermarks();
    impl_->NoteConfirmed();
  }
  impl_->journal_.TakeInto(record, impl_->now_ms_);
}

void Shard::Recycle(wal::LogRecord& record) { impl_->journal_.Recycle(record); }

void Shard::SetEndpoint(Slot home, std::string_view name, std::string_view state) {
  const PartitionId partition = impl_->slot_map_.PartitionOf(home);
  impl_->endpoints_[partition.value()].insert_or_assign(std::string(name), state);
  if (impl_->options_.record_changes) {
    impl_->journal_.Endpoint(partition, name, state);
    impl_->NoteWatermarksBeside(partition);
  }
}

const std::string* Shard::FindEndpoint(Slot home, std::string_view name) const {
  const auto& states = impl_->endpoints_[impl_->slot_map_.PartitionOf(home).value()];
  const auto at = states.find(name);
  return at == states.end() || at->second.empty() ? nullptr : &at->second;
}

std::vector<std::string> Shard::EndpointNames(std::string_view prefix) const {
  std::vector<std::string> names;
  for (const auto& states : impl_->endpoints_) {
    for (const auto& [name, state] : states) {
      if (std::string_view(name).starts_with(prefix)) names.emplace_back(name);
    }
  }
  return names;
}

void Shard::Confirm(PartitionId partition, uint64_t sequence) {
  uint64_t& confirmed = impl_->confirmed_[partition.value()];
  confirmed = std::max(confirmed, sequence);
}

uint64_t Shard::confirmed(PartitionId partition) const {
  return impl_->confirmed_[partition.value()];
}

uint64_t Shard::last_output(PartitionId partition) const {
  return impl_->output_sequences_[partition.value()];
}

bool Shard::recorded() const { return !impl_->journal_.empty(); }

void Shard::BeginRound() { impl_->BeginRound(); }
bool Shard::WriteImages(size_t bytes) { return impl_->WriteImages(bytes); }
void Shard::EndRound() { impl_->EndRound(); }

void Shard::WriteEmitted(std::span<const Output> outputs, std::span<const StreamInput> inputs,
                         std::string_view bytes) {
  const auto stream = [this](const auto& emitted) -> std::string_view {
    return impl_->catalog_.streams[emitted.stream.value()].name;
  };
  const auto text = [&](const auto& emitted) {
    return bytes.substr(emitted.begin, emitted.end - emitted.begin);
  };
  for (const Output& output : outputs) {
    impl_->journal_.Output(output.partition, output.sequence, stream(output), text(output));
  }
  for (const StreamInput& input : inputs) {
    impl_->journal_.Input(input.partition, input.sequence, stream(input), input.id, text(input));
  }
}

absl::Status Shard::CheckAllRead(const Migrate& migrate) const {
  return impl_->CheckAllRead(migrate);
}

void Shard::FinishRecovery(wal::Epoch epoch, TimeMs now_ms, RecoveredOutbox& outbox) {
  impl_->FinishRecovery(epoch, now_ms, outbox);
}

std::vector<std::pair<StreamId, TimeMs>> Shard::KnownWatermarks() const {
  std::vector<std::pair<StreamId, TimeMs>> all;
  for (size_t i = 0; i < impl_->catalog_.streams.size(); ++i) {
    const StreamId stream(static_cast<uint16_t>(i));
    all.emplace_back(stream, impl_->watermarks_.OfStream(stream));
  }
  return all;
}

const Watermarks& Shard::watermarks() const { return impl_->watermarks_; }
OriginPlaces* Shard::origin_places() const { return impl_->options_.origin_places; }
void Shard::RestoreWatermark(StreamId stream, TimeMs watermark_ms) {
  impl_->watermarks_.Restore(stream, watermark_ms);
}

void Shard::EndSparing() {
  impl_->spare_until_ms_ = std::min(impl_->spare_until_ms_, impl_->now_ms_);
}

void Shard::SpareUntil(TimeMs until_ms) {
  impl_->spared_ms_ = impl_->now_ms_;
  impl_->spare_until_ms_ = until_ms;
}

}  // namespace bettong::grid
