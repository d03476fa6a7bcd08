#include "grid/key_turn.h"

#include <algorithm>

#include "base/check.h"
#include "grid/shard_impl.h"

namespace bettong::grid {

KeyTurn::KeyTurn(Shard& shard, const KeyRef& key, const Ticket& ticket, std::string& reply)
    : shard_(shard), key_(key), ticket_(ticket), reply_(reply) {}

TimeMs KeyTurn::now_ms() const { return shard_.impl_->now_ms_; }
const Catalog& KeyTurn::catalog() const { return shard_.impl_->catalog_; }

Entry* KeyTurn::Find() {
  if (!looked_up_) {
    entry_ = shard_.impl_->FindLive(key_, &id_);
    if (entry_ == nullptr) id_ = EntryId(0);
    looked_up_ = true;
    // Only reads count, as in Redis.
    const CommandSpec* command = shard_.impl_->running_;
    if (command != nullptr && !command->writes) {
      ++(entry_ != nullptr ? shard_.impl_->stats_.keyspace_hits
                           : shard_.impl_->stats_.keyspace_misses);
    }
  }
  return entry_;
}

ValueType KeyTurn::type() {
  Entry* entry = Find();
  return entry == nullptr ? ValueType::kNone : entry->type;
}

TimeMs KeyTurn::deadline_ms() {
  Entry* entry = Find();
  return entry == nullptr ? kNeverExpires : entry->deadline_ms();
}

TimeMs KeyTurn::clock_ms() {
  if (type() != ValueType::kEntity || entity_class().clock != TtlClock::kEvent) return now_ms();
  TimeMs watermark = shard_.impl_->watermarks_.OfClass(entity_class());
  return watermark == kNoTime ? deadline_ms() - entity_class().ttl_ms.value_or(0) : watermark;
}

std::string_view KeyTurn::string_value() {
  BETTONG_CHECK(type() == ValueType::kString);
  return shard_.impl_->table_.bytes(entry_);
}

size_t KeyTurn::hash_size() {
  BETTONG_CHECK(type() == ValueType::kHash);
  if (entry_->has(kBigHash)) return entry_->outside<BigHash>()->size();
  return PackedHash(shard_.impl_->table_.bytes(entry_)).size();
}

std::optional<std::string_view> KeyTurn::HashGet(std::string_view field) {
  BETTONG_CHECK(type() == ValueType::kHash);
  if (entry_->has(kBigHash)) return entry_->outside<BigHash>()->Get(field);
  return PackedHash(shard_.impl_->table_.bytes(entry_)).Get(field);
}

uint64_t KeyTurn::HashVisit(uint64_t cursor,
                            const std::function<bool(std::string_view, std::string_view)>& visit) {
  BETTONG_CHECK(type() == ValueType::kHash);
  if (entry_->has(kBigHash)) return entry_->outside<BigHash>()->VisitFrom(cursor, visit);
  PackedHash(shard_.impl_->table_.bytes(entry_))
      .ForEach([&](std::string_view field, std::string_view value) {
        visit(field, value);
        return true;
      });
  return 0;
}

const StreamValue& KeyTurn::stream_value() {
  BETTONG_CHECK(type() == ValueType::kStream);
  return *shard_.impl_->table_.stream(entry_);
}

const ClassSchema& KeyTurn::entity_class() {
  BETTONG_CHECK(type() == ValueType::kEntity);
  return shard_.impl_->table_.class_of(entry_);
}

const char* KeyTurn::entity_row() {
  BETTONG_CHECK(type() == ValueType::kEntity);
  return shard_.impl_->table_.row(entry_);
}

// --- writes

void KeyTurn::Create(ValueType type, size_t value_bytes, bool with_deadline) {
  Shard::Impl& shard = *shard_.impl_;
  // An expired value may still lie there when its expiry is a turn of user code; such a key belongs
  // to an entity class, and the commands refuse those before they write.
  BETTONG_CHECK(shard.table_.Find(key_) == EntryId(0));
  id_ = shard.table_.Insert(key_, type, value_bytes, with_deadline);
  entry_ = shard.table_.at(id_);
  looked_up_ = true;
  shard.CountKey(entry_, +1);
  if (type == ValueType::kHash || type == ValueType::kStream) {
    if (std::string* change = shard.Change(key_, ChangeOp::kNew)) ByteWriter(*change).Fixed(type);
  }
  Notify(kNotifyNew, "new");
}

void KeyTurn::Retype(ValueType type) {
  Shard::Impl& shard = *shard_.impl_;
  shard.CountKey(entry_, -1);
  shard.table_.Reset(entry_, type);
  shard.CountKey(entry_, +1);
}

void KeyTurn::PutString(std::string_view value, TimeMs deadline_ms) {
  Shard::Impl& shard = *shard_.impl_;
  // What the change of the value alone leaves.
  const TimeMs deadline_before = type() == ValueType::kString ? this->deadline_ms() : kNeverExpires;
  if (Find() == nullptr) {
    Create(ValueType::kString, value.size(), deadline_ms != kNeverExpires);
  } else if (entry_->type != ValueType::kString) {
    BETTONG_CHECK(entry_->type != ValueType::kEntity);
    Retype(ValueType::kString);
  }
  // A shorter value first: room for a deadline is easier to make beside it.
  if (deadline_ms == kNeverExpires) SetDeadlineOnly(deadline_ms);
  shard.table_.SetBytes(entry_, value);
  if (deadline_ms != kNeverExpires) SetDeadlineOnly(deadline_ms);
  if (std::string* change = shard.Change(key_, ChangeOp::kPutString))
    ByteWriter(*change).Bytes(value);
  if (deadline_ms == deadline_before) return;
  if (std::string* change = shard.Change(key_, ChangeOp::kDeadline)) {
    ByteWriter(*change).Fixed(deadline_ms);
  }
}

void KeyTurn::UpdateString(std::string_view value) {
  Shard::Impl& shard = *shard_.impl_;
  BETTONG_CHECK(type() == ValueType::kString);
  shard.table_.SetBytes(entry_, value, /*growing=*/true);
  if (std::string* change = shard.Change(key_, ChangeOp::kPutString))
    ByteWriter(*change).Bytes(value);
}

void KeyTurn::AppendString(std::string_view more) {
  Shard::Impl& shard = *shard_.impl_;
  BETTONG_CHECK(type() == ValueType::kString);
  shard.table_.AppendBytes(entry_, more);
  if (std::string* change = shard.Change(key_, ChangeOp::kPutString))
    ByteWriter(*change).Bytes(string_value());
}

void KeyTurn::SetDeadlineOnly(TimeMs deadline_ms) { shard_.impl_->SetDeadline(id_, deadline_ms); }

void KeyTurn::SetDeadline(TimeMs deadline_ms) {
  BETTONG_CHECK(exists());
  SetDeadlineOnly(deadline_ms);
  if (std::string* change = shard_.impl_->Change(key_, ChangeOp::kDeadline)) {
    ByteWriter(*change).Fixed(deadline_ms);
  }
}

void KeyTurn::Delete() {
  BETTONG_CHECK(exists());
  shard_.impl_->Change(key_, ChangeOp::kDelete);
  shard_.impl_->RemoveEntry(id_);
  entry_ = nullptr;
  id_ = EntryId(0);
}

size_t KeyTurn::HashSet(std::span<const std::pair<std::string_view, std::string_view>> fields) {
  Shard::Impl& shard = *shard_.impl_;
  KeyTable& table = shard.table_;
  size_t bytes_min = 0;
  for (const auto& [field, value] : fields) bytes_min += field.size() + value.size() + 4;
  if (Find() == nullptr) {
    Create(ValueType::kHash, bytes_min, false);
  }
  BETTONG_CHECK(entry_->type == ValueType::kHash);
  size_t added = 0;
  if (!entry_->has(kBigHash)) {
    std::string& scratch = shard.scratch_;
    scratch.assign(table.bytes(entry_));
    for (const auto& [field, value] : fields) {
      auto old = PackedHash(scratch).Get(field);
      if (!old) {
        ++added;
        PackedHash::Append(field, value, scratch);
      } else if (old->size() == value.size()) {
        std::memcpy(const_cast<char*>(old->data()), value.data(), value.size());
      } else {
        std::string rest;
        PackedHash(scratch).ForEach([&](std::string_view name, std::string_view kept) {
          PackedHash::Append(name, name == field ? value : kept, rest);
          return true;
        });
        scratch.swap(rest);
      }
      if (scratch.size() > kPackedHashBytesMax) break;
    }
    if (scratch.size() > kPackedHashBytesMax || PackedHash(scratch).size() > kPackedHashFieldsMax) {
      table.MakeBigHash(entry_);  // from the bytes as they were
      added = 0;
    } else {
      table.SetBytes(entry_, scratch);
    }
  }
  if (entry_->has(kBigHash)) {
    auto* hash = entry_->outside<BigHash>();
    auto before = static_cast<int64_t>(hash->heap_bytes());
    for (const auto& [field, value] : fields) added += hash->Set(field, value);
    table.AddHeapBytes(static_cast<int64_t>(hash->heap_bytes()) - before);
  }
  if (std::string* change = shard.Change(key_, ChangeOp::kHashSet)) {
    ByteWriter bytes(*change);
    bytes.Varint(fields.size());
    for (const auto& [field, value] : fields) bytes.Bytes(field), bytes.Bytes(value);
  }
  return added;
}

size_t KeyTurn::HashDelete(std::span<const std::string_view> fields) {
  Shard::Impl& shard = *shard_.impl_;
  KeyTable& table = shard.table_;
  BETTONG_CHECK(type() == ValueType::kHash);
  size_t removed = 0;
  if (entry_->has(kBigHash)) {
    auto* hash = entry_->outside<BigHash>();
    auto before = static_cast<int64_t>(hash->heap_bytes());
    for (std::string_view field : fields) removed += hash->Delete(field);
    table.AddHeapBytes(static_cast<int64_t>(hash->heap_bytes()) - before);
  } else {
    std::string& kept = shard.scratch_;
    kept.clear();
    PackedHash(table.bytes(entry_)).ForEach([&](std::string_view name, std::string_view value) {
      if (std::find(fields.begin(), fields.end(), name) != fields.end()) {
        ++removed;
      } else {
        PackedHash::Append(name, value, kept);
      }
      return true;
    });
    if (removed > 0) table.SetBytes(entry_, kept);
  }
  if (removed == 0) return 0;
  if (std::string* change = shard.Change(key_, ChangeOp::kHashDelete)) {
    ByteWriter bytes(*change);
    bytes.Varint(fields.size());
    for (std::string_view field : fields) bytes.Bytes(field);
  }
  if (hash_size() == 0) {
    shard.RemoveEntry(id_);
    entry_ = nullptr;
    id_ = EntryId(0);
  }
  return removed;
}

void KeyTurn::EntitySet(size_t field, std::string_view encoded) {
  Shard::Impl& shard = *shard_.impl_;
  BETTONG_CHECK(type() == ValueType::kEntity && !entry_->has(kLent));
  const RowSchema& schema = entity_class().row;
  char* row = shard.table_.row(entry_);
  auto before = static_cast<int64_t>(schema.StringBytes(row));
  ByteReader in(encoded);
  BETTONG_CHECK(schema.DecodeField(row, field, in));
  shard.table_.AddHeapBytes(static_cast<int64_t>(schema.StringBytes(row)) - before);
  if (std::string* change =
          shard.RowChange(key_, ChangeOp::kEntityDelta, shard.table_.class_id(entry_))) {
    std::string delta;
    ByteWriter bytes(delta);
    bytes.Varint(1);
    bytes.Varint(field);
    bytes.Raw(encoded);
    ByteWriter(*change).Bytes(delta);
  }
}

void KeyTurn::StreamAppend(StreamEntryId id, StreamEntryForm form, std::string_view payload) {
  if (Find() == nullptr) Create(ValueType::kStream, 0, false);
  BETTONG_CHECK(id > stream_value().last_id);
  shard_.impl_->AppendToStream(id_, key_, id, form, payload);
  StreamId stream;
  const StreamSchema* schema = catalog().FindStream(key_.text, &stream);
  if (schema == nullptr || stream_value().entries.size() <= schema->view_entries_max) return;
  const auto& entries = stream_value().entries;
  StreamTrim(entries[entries.size() - schema->view_entries_max].id);
}

void KeyTurn::BoundView(const StreamSchema& schema) {
  BETTONG_CHECK(type() == ValueType::kStream);
  shard_.impl_->BoundView(id_, key_, schema);
}

void KeyTurn::StreamTrim(StreamEntryId first_kept) {
  BETTONG_CHECK(type() == ValueType::kStream);
  shard_.impl_->TrimStream(id_, key_, first_kept);
}

size_t KeyTurn::StreamDelete(std::span<const StreamEntryId> ids) {
  BETTONG_CHECK(type() == ValueType::kStream);
  return shard_.impl_->DeleteFromStream(id_, key_, ids);
}

void KeyTurn::Notify(NotifyClass notify_class, std::string_view event) {
  shard_.impl_->Notify(notify_class, event, key_.text);
}

void KeyTurn::FeedStream(StreamId stream, StreamEntryId id, std::string_view fields_payload) {
  Effects& effects = *shard_.impl_->effects_;
  const PartitionId partition = shard_.impl_->slot_map_.PartitionOf(key_.slot);
  StreamInput input;
  input.stream = stream;
  input.partition = partition;
  input.sequence = ++shard_.impl_->output_sequences_[partition.value()];
  input.id = id;
  input.begin = effects.output_bytes.size();
  effects.output_bytes.append(fields_payload);
  input.end = effects.output_bytes.size();
  effects.stream_inputs.push_back(input);
  if (!shard_.impl_->options_.record_changes) return;
  shard_.impl_->journal_.Input(partition, input.sequence, key_.text, id, fields_payload);
}

void KeyTurn::SendMessage(std::string_view json) {
  Shard::Impl& shard = *shard_.impl_;
  shard.AddOutput(catalog().messages, shard.slot_map_.PartitionOf(key_.slot),
                  SourceRef{shard.options_.id, SourceId(0)}, json);
}

void KeyTurn::ReplyWhenDurable() { shard_.impl_->reply_when_durable_ = true; }

void KeyTurn::WaitForAppend(Args args, TimeMs deadline_ms, std::string_view timeout_reply) {
  Shard::Impl& shard = *shard_.impl_;
  BETTONG_CHECK(shard.running_ != nullptr);
  if (!shard.waiting_) {
    Message message;
    message.command = shard.running_;
    message.key = key_;
    message.args = args;
    message.ticket = ticket_;
    shard.waiting_.emplace();
    shard.waiting_->command = OwnedCommand::Copy(message);
    shard.waiting_->timeout_reply = timeout_reply;
    shard.waiting_->deadline_ms = shard.reader_deadline_ms_.value_or(deadline_ms);
  }
  shard.waiting_->keys.emplace_back(key_.text);
}

void KeyTurn::ReplyError(std::string_view text) {
  reply_.push_back('-');
  reply_.append(text);
  reply_.append("\r\n");
}

// --- ShardTurn

ShardTurn::ShardTurn(Shard& shard, const Ticket& ticket, std::string& reply)
    : shard_(shard), ticket_(ticket), reply_(reply) {}

TimeMs ShardTurn::now_ms() const { return shard_.impl_->now_ms_; }
const Catalog& ShardTurn::catalog() const { return shard_.impl_->catalog_; }

KeyTurn ShardTurn::Key(std::string_view key, std::string& reply) {
  return KeyTurn(shard_, shard_.impl_->slot_map_.Key(key), ticket_, reply);
}

bool ShardTurn::Owns(std::string_view key) const {
  return shard_.impl_->slot_map_.ShardOf(SlotOfKey(key)) == shard_.impl_->options_.id;
}

size_t ShardTurn::key_count() const { return shard_.impl_->live_keys_; }
size_t ShardTurn::keys_with_deadline() const { return shard_.impl_->keys_with_deadline_; }
size_t ShardTurn::entity_count(std::optional<ClassId> entity_class) const {
  return entity_class ? shard_.impl_->entities_by_class_[entity_class->value()]
                      : shard_.impl_->entities_;
}
size_t ShardTurn::used_memory_bytes() const { return shard_.impl_->table_.used_bytes(); }

uint64_t ShardTurn::Scan(uint64_t cursor, size_t count,
                         const std::function<void(std::string_view, ValueType)>& visit) {
  Shard::Impl& shard = *shard_.impl_;
  auto position = static_cast<uint32_t>(cursor);
  size_t slots = std::max<size_t>(count, 1);
  while (Entry* entry = shard.table_.Next(position, slots)) {
    if (shard.Live(entry)) visit(entry->key(), entry->type);
    if (slots == 0) break;
  }
  return position;
}

uint64_t ShardTurn::scan_end() const { return shard_.impl_->table_.scan_end(); }

void ShardTurn::WaitUntilDurable(TimeMs deadline_ms, bool to_the_end) {
  shard_.impl_->durable_wait_ = DurableWait{ticket_, deadline_ms, to_the_end};
}

void ShardTurn::FlushAll() { shard_.impl_->FlushAll(ticket_); }

}  // namespace bettong::grid
