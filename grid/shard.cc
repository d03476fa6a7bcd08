#include "grid/shard.h"

#include <algorithm>

#include "base/check.h"
#include "grid/image_cursor.h"
#include "grid/replay.h"
#include "grid/shard_impl.h"

namespace bettong::grid {

void Effects::Clear() {
  reply_bytes.clear();
  replies.clear();
  durable_waits.clear();
  output_bytes.clear();
  outputs.clear();
  stream_inputs.clear();
  keyed_events.clear();
  keys_done = 0;
  notification_bytes.clear();
  notifications.clear();
  loans.clear();
  completed.clear();
  credits.clear();
}

Shard::Shard(ShardOptions options) : impl_(std::make_unique<Impl>(*this, std::move(options))) {}
Shard::~Shard() = default;

void Shard::Process(std::span<const Message> batch, TimeMs now_ms, Effects& effects) {
  impl_->Process(batch, now_ms, effects);
}
TimeMs Shard::NextWake() const { return impl_->NextWake(); }
absl::Status Shard::Apply(const wal::Section& section, bool whole) {
  return impl_->Apply(section, whole);
}
uint64_t Shard::Digest() const { return impl_->Digest(); }
const ShardStats& Shard::stats() const { return impl_->stats_; }
size_t Shard::key_count() const { return impl_->live_keys_; }
size_t Shard::keys_with_deadline() const { return impl_->keys_with_deadline_; }
size_t Shard::entity_count() const { return impl_->entities_; }
size_t Shard::entity_count(ClassId entity_class) const {
  return impl_->entities_by_class_[entity_class.value()];
}
uint64_t Shard::container_bytes(ClassId entity_class) const {
  return impl_->table_.container_bytes(entity_class);
}
const Histogram& Shard::expiry_lag_ms() const { return impl_->expiry_lag_ms_; }
uint64_t Shard::used_memory_bytes() const { return impl_->used_bytes(); }
uint64_t Shard::value_bytes() const { return impl_->table_.used_bytes(); }
bool Shard::over_memory() const {
  uint64_t limit = impl_->options_.maxmemory_bytes;
  return limit != 0 && impl_->used_bytes() > limit;
}
void Shard::set_notify_classes(uint32_t classes) { impl_->options_.notify_classes = classes; }
void Shard::set_maxmemory_bytes(uint64_t bytes) { impl_->options_.maxmemory_bytes = bytes; }
void Shard::set_read_only(bool read_only) { impl_->read_only_ = read_only; }

Shard::Impl::Impl(Shard& shard, ShardOptions options)
    : shard_(shard),
      options_(std::move(options)),
      catalog_(*options_.catalog),
      slot_map_(*options_.slot_map),
      table_(catalog_, slot_map_),
      watermarks_(catalog_),
      event_wheels_(catalog_.classes.size()),
      alarms_(catalog_),
      output_sequences_(slot_map_.partitions()),
      marks_(slot_map_.partitions()),
      endpoints_(slot_map_.partitions()),
      confirmed_(slot_map_.partitions()),
      confirmed_noted_(slot_map_.partitions()),
      journal_(catalog_, slot_map_.partitions()),
      watermarks_noted_(catalog_.streams.size(), kNoTime),
      entities_by_class_(catalog_.classes.size()) {
  for (uint16_t i = 0; i < slot_map_.partitions(); ++i) {
    own_partition_ = PartitionId(i);
    if (slot_map_.ShardOf(own_partition_) == options_.id) break;
  }
  DeriveFromCatalog();
}

// What is lent does not come back any more: the working rows, and the messages that only their
// loans know, go here.
Shard::Impl::~Impl() {
  for (auto& loan : loans_) {
    if (loan->outstanding > 0 && loan->row.exists) {
      catalog_.classes[loan->row.entity_class.value()].row.DestroyCopy(loan->row.row.get());
    }
    while (loan->TakeCall() != nullptr) {
    }
  }
  while (EventBatch* batch = held_batches_) {
    held_batches_ = batch->held_after;
    delete batch;
  }
}

namespace {

// Commands, events and results in the batch.
size_t WorkIn(std::span<const Message> batch) {
  size_t work = 0;
  for (const Message& message : batch) {
    if (message.kind == MessageKind::kEvents) {
      work += message.events->items.size();
    } else if (message.kind == MessageKind::kLoanResults) {
      work += message.results->results.size();
    } else {
      ++work;
    }
  }
  return work;
}

}  // namespace

void Shard::Impl::Process(std::span<const Message> batch, TimeMs now_ms, Effects& effects) {
  now_ms_ = std::max(now_ms_, now_ms);
  effects_ = &effects;
  if (wheel_.size() == 0) wheel_.SkipTo(now_ms_);
#ifdef BETTONG_SIMULATION
  for (const auto& late : std::exchange(late_marks_, {})) late();
#endif
  const size_t work = WorkIn(batch);
  if (batch.size() > 1) PrefetchCommands(batch);
  for (const Message& message : batch) {
    switch (message.kind) {
      case MessageKind::kCommand:
        OnCommand(message);
        break;
      case MessageKind::kEvents:
        OnEvents(message.events);
        break;
      case MessageKind::kLoanResults:
        OnLoanResults(*message.results);
        break;
      case MessageKind::kWatermark:
        watermarks_.Apply(*message.watermark);
        break;
      case MessageKind::kViewEntry:
        OnViewEntry(*message.view);
        break;
      case MessageKind::kForget:
        readers_.Forget(message.ticket);
        break;
      case MessageKind::kEmit:
        OnEmit(*message.view);
        break;
    }
    if (!grown_streams_.empty()) WakeReaders();
  }
  AdvanceTime(work);
  if (!grown_streams_.empty()) WakeReaders();
  effects_ = nullptr;
}

// --- time

TimeMs Shard::Impl::NextWake() const {
  if (read_only_ || held_) return readers_.NextDeadline();
  TimeMs wake = std::min(wheel_.NextWake(), readers_.NextDeadline());
  wake = std::min(wake, std::max(alarms_.NextWall(), spare_until_ms_));
  wake = std::min(wake, retries_.NextDue());
  if (!spared_.empty()) wake = std::min(wake, spare_until_ms_);
  for (size_t i = 0; i < event_wheels_.size(); ++i) {
    if (!catalog_.classes[i].uses_watermark) continue;
    const TimeMs watermark = watermarks_.OfClass(catalog_.classes[i]);
    if (watermark == kNoTime) continue;
    if (alarms_.NextWatermark(i) <= watermark) return now_ms_;
    const auto& wheel = event_wheels_[i];
    if (wheel != nullptr && wheel->size() > 0 && wheel->NextWake() <= watermark - 1) return now_ms_;
  }
  return wake;
}

void Shard::Impl::AdvanceTime(size_t work) {
  TimeOutReaders();
  if (read_only_ || held_) return;
  if (!spared_.empty() && now_ms_ >= spare_until_ms_) EndSparing();
  RetryDue();
  auto fire = [this](EntryId id, uint8_t generation) { OnRecordDue(id, generation); };
  auto soon = [this](EntryId id) { table_.Prefetch(id); };
  const size_t filed = std::exchange(filed_records_, 0);
  size_t slice = kExpirySliceRecords;
  if (work > 0) slice = std::min(slice_beside_, std::max(work, kExpirySliceBesideRecords));
  size_t left = slice + kExpiryUnitsPerFiled * filed;
  left -= wheel_.Advance(now_ms_, left, fire, soon);
  const auto ring = [this](EntryId id, uint8_t generation) { Ring(id, generation); };
  if (now_ms_ >= spare_until_ms_) left -= alarms_.AdvanceWall(now_ms_, left, ring);
  for (size_t i = 0; i < event_wheels_.size() && left > 0; ++i) {
    if (!catalog_.classes[i].uses_watermark) continue;
    const TimeMs watermark = watermarks_.OfClass(catalog_.classes[i]);
    if (watermark == kNoTime) continue;
    left -= alarms_.AdvanceWatermark(i, watermark, left, ring);
    // An entity is alive at its deadline; it expires when the watermark is beyond it.
    if (event_wheels_[i] != nullptr) {
      left -= event_wheels_[i]->Advance(watermark - 1, left, fire, soon);
    }
  }
  slice_beside_ = left > 0 ? kExpirySliceBesideRecords
                           : std::min(slice_beside_ * 2, kExpirySliceBesideRecordsMax);
  SweepAlarms(filed);
  stats_.deadline_records = 0;
  SweepWheel(wheel_, filed);
  for (auto& wheel : event_wheels_) {
    if (wheel != nullptr) SweepWheel(*wheel, filed);
  }
}

TimingWheel& Shard::Impl::WheelOf(Entry* entry) {
  if (entry->type != ValueType::kEntity || entry->has(kPhantom)) return wheel_;
  auto& wheel = event_wheels_[table_.class_id(entry).value()];
  return wheel != nullptr ? *wheel : wheel_;
}

bool Shard::Impl::Expired(Entry* entry) const {
  if (!entry->has(kHasDeadline)) return false;
  if (entry->type == ValueType::kEntity && !entry->has(kPhantom)) {
    const ClassSchema& entity_class = table_.class_of(entry);
    if (entity_class.clock == TtlClock::kEvent) {
      return watermarks_.OfClass(entity_class) > entry->deadline_ms();
    }
    if (Spared(entry)) return false;
  }
  return entry->deadline_ms() <= now_ms_;
}

void Shard::Impl::SetDeadline(EntryId id, TimeMs deadline_ms) {
  Entry* entry = table_.at(id);
  TimeMs before = entry->deadline_ms();
  if (before == deadline_ms) return;
  table_.SetDeadline(entry, deadline_ms);
  if (!entry->has(kPhantom)) {
    keys_with_deadline_ += (deadline_ms != kNeverExpires) - (before != kNeverExpires);
  }
  if (deadline_ms == kNeverExpires) return;
  // A filed record comes up no later than the deadline that was in force; a later deadline needs no
  // other. An earlier one, or one after a time without, does.
  if (entry->has(kFiled) && before != kNeverExpires && deadline_ms > before) return;
  FileDeadline(id);
}

void Shard::Impl::FileDeadline(EntryId id) {
  Entry* entry = table_.at(id);
  ++entry->generation;
  entry->set(kFiled);
  WheelOf(entry).File(id, entry->generation, entry->deadline_ms());
  ++filed_records_;
}

void Shard::Impl::SweepWheel(TimingWheel& wheel, size_t filed_records) {
  stats_.deadline_records += wheel.size();
  if (wheel.size() <= 2 * keys_with_deadline_ + kStaleRecordsMin) return;
  wheel.Sweep(kSweptPerFiled * filed_records, [this](EntryId id, uint8_t generation) {
    Entry* entry = table_.Resolve(id);
    if (entry == nullptr || !entry->has(kFiled) || entry->generation != generation) return false;
    if (entry->has(kHasDeadline)) return true;
    entry->clear(kFiled);
    return false;
  });
}

void Shard::Impl::OnRecordDue(EntryId id, uint8_t generation) {
  Entry* entry = table_.Resolve(id);
  if (entry == nullptr || !entry->has(kFiled) || entry->generation != generation) return;
  entry->clear(kFiled);
  if (!entry->has(kHasDeadline) || entry->has(kPhantom)) return;
  if (!Expired(entry)) {
    if (entry->type == ValueType::kEntity && Spared(entry) &&
        table_.class_of(entry).clock == TtlClock::kWall) {
      spared_.push_back(id);
      return;
    }
    entry->set(kFiled);
    WheelOf(entry).File(id, generation, entry->deadline_ms());
    ++filed_records_;
    return;
  }
  if (entry->has(kLent)) {
    LoanOf(entry).recheck_deadline = true;
    return;
  }
  ExpireNow(id);
}

// Something of the entity may be due: the lane, which may have it, looks and runs it.
void Shard::Impl::Ring(EntryId id, uint8_t generation) {
  Entry* entry = table_.Resolve(id);
  if (entry == nullptr || entry->type != ValueType::kEntity || entry->has(kPhantom)) return;
  const ClassSchema& entity_class = table_.class_of(entry);
  if (!entity_class.row.has_timed()) return;  // another one has taken the entry
  if (entry->has(kLent) && LoanOf(entry).rests()) {
    LoanOf(entry).recheck_alarms = true;
    return;
  }
  Lend(id, TurnKind::kDue, table_.class_id(entry)).alarm = generation;
}

// As the lane does behind each turn: for an entity that has just come out of the log.
void Shard::Impl::SetAlarms(EntryId id) {
  Entry* entry = table_.at(id);
  const ClassSchema& entity_class = table_.class_of(entry);
  for (const uint32_t index : entity_class.row.timed()) {
    const FieldSchema& field = entity_class.row.fields[index];
    if (!HasAlarm(entity_class, field)) continue;
    Container* container = RowSchema::ContainerAt(table_.row(entry), field);
    if (container->NextDue() == kNeverExpires) continue;
    container->alarm = {.at_ms = container->NextDue(), .generation = entry->generation};
    alarms_.Set(id, table_.class_id(entry),
                {GoesByWatermark(entity_class, field), container->alarm});
  }
}

// Alarms of entities that are gone, or that were replaced by earlier ones.
void Shard::Impl::SweepAlarms(size_t filed_records) {
  if (alarms_.size() <= 2 * entities_ + kStaleRecordsMin) return;
  alarms_.Sweep(kSweptPerFiled * filed_records, [this](EntryId id, uint8_t generation) {
    Entry* entry = table_.Resolve(id);
    if (entry == nullptr || entry->type != ValueType::kEntity) return false;
    if (entry->has(kLent)) return true;
    if (entry->has(kPhantom)) return false;
    const RowSchema& schema = table_.class_of(entry).row;
    return std::any_of(schema.timed().begin(), schema.timed().end(), [&](uint32_t index) {
      const Container* at = RowSchema::ContainerAt(table_.row(entry), schema.fields[index]);
      return at->alarm.generation == generation;
    });
  });
}

void Shard::Impl::EndSparing() {
  for (EntryId id : std::exchange(spared_, {})) {
    Entry* entry = table_.Resolve(id);
    if (entry == nullptr || entry->has(kFiled) || entry->has(kPhantom)) continue;
    if (entry->has(kHasDeadline)) FileDeadline(id);
  }
}

void Shard::Impl::ExpireNow(EntryId id) {
  Entry* entry = table_.at(id);
  if (&WheelOf(entry) == &wheel_) {
    // A negative TTL may put the deadline before the beginning of time.
    TimeMs deadline_ms = std::max<TimeMs>(entry->deadline_ms(), 0);
    expiry_lag_ms_.Record(static_cast<uint64_t>(now_ms_ - deadline_ms));
  }
  if (entry->type == ValueType::kEntity) {
    const ClassSchema& entity_class = table_.class_of(entry);
    if (entity_class.ends_by_turn()) {
      Lend(id, TurnKind::kExpire, table_.class_id(entry));
      return;
    }
  }
  KeyRef key = slot_map_.Key(entry->key());
  Change(key, entry->type == ValueType::kEntity ? ChangeOp::kEntityExpire : ChangeOp::kDelete);
  Notify(kNotifyExpired, "expired", key.text);
  ++stats_.expired_keys;
  CountKey(entry, -1);
  own_ttls_.erase(id.value());
  table_.Remove(id, key);
}

// --- keys

Entry* Shard::Impl::FindLive(const KeyRef& key, EntryId* id_out) {
  EntryId id = table_.Find(key);
  if (id_out != nullptr) *id_out = id;
  if (id == EntryId(0)) return nullptr;
  Entry* entry = table_.at(id);
  if (entry->has(kPhantom)) return nullptr;
  if (!Expired(entry)) return entry;
  // An entity whose expiry is a turn of user code is just not there any more; the wheel, or its
  // next message, brings the turn about.
  bool user_code = entry->type == ValueType::kEntity && table_.class_of(entry).ends_by_turn();
  if (!user_code && !entry->has(kLent) && !read_only_) {
    ExpireNow(id);
    if (id_out != nullptr) *id_out = EntryId(0);
  }
  return nullptr;
}

void Shard::Impl::CountKey(Entry* entry, int delta) {
  auto step = static_cast<size_t>(delta);  // wraps for -1, as intended
  live_keys_ += step;
  if (entry->has(kHasDeadline)) keys_with_deadline_ += step;
  if (entry->type == ValueType::kEntity) {
    entities_ += step;
    entities_by_class_[table_.class_id(entry).value()] += step;
  }
}

uint64_t Shard::Impl::used_bytes() const {
  uint64_t bytes = sizeof(Impl) + table_.used_bytes() + wheel_.bytes_in_use();
  for (const auto& wheel : event_wheels_) bytes += wheel == nullptr ? 0 : wheel->bytes_in_use();
  bytes += alarms_.bytes_in_use();
  return bytes + loan_row_bytes_ + loans_.size() * sizeof(LoanState);
}

void Shard::Impl::RemoveEntry(EntryId id) {
  Entry* entry = table_.at(id);
  if (!entry->has(kPhantom)) CountKey(entry, -1);
  if (entry->has(kOwnTtl)) own_ttls_.erase(id.value());
  table_.Remove(id);
}

// --- outputs

void Shard::Impl::AddOutput(StreamId stream, PartitionId partition, SourceRef origin,
                            std::string_view json) {
  Output output;
  output.stream = stream;
  output.partition = partition;
  output.sequence = ++output_sequences_[partition.value()];
  output.origin = origin;
  output.begin = effects_->output_bytes.size();
  effects_->output_bytes.append(json);
  output.end = effects_->output_bytes.size();
  effects_->outputs.push_back(output);
  if (options_.record_changes) {
    journal_.Output(partition, output.sequence, catalog_.streams[stream.value()].name, json);
  }
  ++stats_.outputs;
  if (stream == catalog_.dead_letters) ++stats_.dead_letters;
}

void Shard::Impl::Notify(NotifyClass notify_class, std::string_view event, std::string_view key) {
  uint32_t classes = options_.notify_classes;
  if ((classes & notify_class) == 0) return;
  auto add = [&](std::string_view prefix, std::string_view name, std::string_view payload) {
    Notification notification;
    std::string& bytes = effects_->notification_bytes;
    notification.channel_begin = bytes.size();
    bytes.append(prefix).append(name);
    notification.channel_end = bytes.size();
    bytes.append(payload);
    notification.payload_end = bytes.size();
    effects_->notifications.push_back(notification);
  };
  if (classes & kNotifyKeyspace) add("__keyspace@0__:", key, event);
  if (classes & kNotifyKeyevent) add("__keyevent@0__:", event, key);
}

// --- streams

size_t StreamValue::LowerBound(StreamEntryId id) const {
  auto at = std::lower_bound(
      entries.begin(), entries.end(), id,
      [](const StreamEntry& entry, StreamEntryId bound) { return entry.id < bound; });
  return static_cast<size_t>(at - entries.begin());
}

void Shard::Impl::AppendToStream(EntryId id, const KeyRef& key, StreamEntryId entry_id,
                                 StreamEntryForm form, std::string_view payload) {
  StreamValue& stream = *table_.stream(table_.at(id));
  stream.entries.push_back(StreamEntry{entry_id, form, std::string(payload)});
  stream.last_id = entry_id;
  ++stream.entries_added;
  stream.payload_bytes += payload.size();
  table_.AddHeapBytes(static_cast<int64_t>(payload.size() + sizeof(StreamEntry)));
  if (std::string* change = Change(key, ChangeOp::kStreamAppend)) {
    ByteWriter bytes(*change);
    bytes.Fixed(entry_id.ms);
    bytes.Fixed(entry_id.sequence);
    bytes.Fixed(form);
    bytes.Bytes(payload);
  }
  if (readers_.WaitFor(key.text)) grown_streams_.emplace_back(key.text);
}

void Shard::Impl::TrimStream(EntryId id, const KeyRef& key, StreamEntryId first_kept) {
  StreamValue& stream = *table_.stream(table_.at(id));
  bool trimmed = false;
  while (!stream.entries.empty() && stream.entries.front().id < first_kept) {
    size_t bytes = stream.entries.front().payload.size();
    stream.payload_bytes -= bytes;
    stream.max_deleted_id = std::max(stream.max_deleted_id, stream.entries.front().id);
    table_.AddHeapBytes(-static_cast<int64_t>(bytes + sizeof(StreamEntry)));
    stream.entries.pop_front();
    trimmed = true;
  }
  if (!trimmed) return;
  if (std::string* change = Change(key, ChangeOp::kStreamTrim)) {
    ByteWriter bytes(*change);
    bytes.Fixed(first_kept.ms);
    bytes.Fixed(first_kept.sequence);
  }
}

size_t Shard::Impl::DeleteFromStream(EntryId id, const KeyRef& key,
                                     std::span<const StreamEntryId> ids) {
  StreamValue& stream = *table_.stream(table_.at(id));
  std::vector<StreamEntryId> sorted(ids.begin(), ids.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<StreamEntryId> gone;
  uint64_t bytes = 0;
  std::erase_if(stream.entries, [&](const StreamEntry& entry) {
    if (!std::binary_search(sorted.begin(), sorted.end(), entry.id)) return false;
    gone.push_back(entry.id);
    bytes += entry.payload.size();
    return true;
  });
  if (gone.empty()) return 0;
  stream.payload_bytes -= bytes;
  stream.max_deleted_id = std::max(stream.max_deleted_id, gone.back());
  table_.AddHeapBytes(-static_cast<int64_t>(bytes + gone.size() * sizeof(StreamEntry)));
  if (std::string* change = Change(key, ChangeOp::kStreamDelete)) {
    ByteWriter out(*change);
    out.Varint(gone.size());
    for (const StreamEntryId& each : gone) out.Fixed(each.ms), out.Fixed(each.sequence);
  }
  return gone.size();
}

void Shard::Impl::OnEmit(const ViewEntry& view) {
  const PartitionId partition = PartitionOfOrigin(view.origin);
  if (Repeated(partition, view.origin, view.target)) return;
  AddOutput(view.stream, partition, view.origin.source, view.json);
  NoteApplied(partition, view.origin, view.target);
}

void Shard::Impl::OnViewEntry(const ViewEntry& view) {
  const StreamSchema& schema = catalog_.streams[view.stream.value()];
  KeyRef key = slot_map_.Key(schema.name);
  const PartitionId partition = slot_map_.PartitionOf(key.slot);
  if (Repeated(partition, view.origin, kViewTarget)) return;
  NoteApplied(partition, view.origin, kViewTarget);
  EntryId id;
  Entry* entry = FindLive(key, &id);
  if (schema.view_entries_max == 0 || (entry != nullptr && entry->type != ValueType::kStream))
    return;
  if (entry == nullptr) {
    id = table_.Insert(key, ValueType::kStream, 0, false);
    entry = table_.at(id);
    CountKey(entry, +1);
    if (std::string* change = Change(key, ChangeOp::kNew)) {
      ByteWriter(*change).Fixed(ValueType::kStream);
    }
  }
  StreamValue& stream = *table_.stream(entry);
  AppendToStream(id, key, NextEntryId(stream.last_id, now_ms_), StreamEntryForm::kJson, view.json);
  BoundView(id, key, schema);
}

void Shard::Impl::BoundView(EntryId id, const KeyRef& key, const StreamSchema& schema) {
  const StreamValue& stream = *table_.stream(table_.at(id));
  size_t first = 0;
  uint64_t bytes = stream.payload_bytes;
  while (stream.entries.size() - first > 1 &&
         (stream.entries.size() - first > schema.view_entries_max || bytes > kStreamViewBytesMax)) {
    bytes -= stream.entries[first++].payload.size();
  }
  if (first > 0) TrimStream(id, key, stream.entries[first].id);
}

}  // namespace bettong::grid
