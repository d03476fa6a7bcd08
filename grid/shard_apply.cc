// Changes: written for the log as turns run, applied again by recovery, replicas and migration.
#include <xxhash.h>

#include "grid/shard_impl.h"

namespace bettong::grid {

std::string* Shard::Impl::Change(const KeyRef& key, ChangeOp op) {
  if (!options_.record_changes) return nullptr;
  PartitionId partition = slot_map_.PartitionOf(key.slot);
  int32_t& index = section_of_partition_[partition.value()];
  if (index < 0) {
    index = static_cast<int32_t>(effects_->sections.size());
    effects_->sections.push_back(
        ChangeSection{partition, ++section_sequences_[partition.value()], std::string()});
  }
  std::string& changes = effects_->sections[static_cast<size_t>(index)].changes;
  ByteWriter bytes(changes);
  bytes.Bytes(key.text);
  bytes.Fixed(op);
  return &changes;
}

// What a deadline brings about is in the changes, too: this shard's clock, which may be ahead of
// the one that they were recorded by, has no say while they are applied.
bool Shard::Impl::Apply(const ChangeSection& section) {
  TimeMs now_ms = std::exchange(now_ms_, kNoTime);
  bool recording = std::exchange(options_.record_changes, false);
  uint32_t notify = std::exchange(options_.notify_classes, 0);
  Effects ignored;
  effects_ = &ignored;
  ByteReader in(section.changes);
  bool good = true;
  while (good && !in.empty()) {
    std::string_view key = in.Bytes();
    good = in.ok() && key.size() <= kKeyBytesMax && ApplyOne(slot_map_.Key(key), in);
  }
  effects_ = nullptr;
  grown_streams_.clear();
  options_.record_changes = recording;
  options_.notify_classes = notify;
  now_ms_ = now_ms;
  return good;
}

bool Shard::Impl::ApplyOne(const KeyRef& key, ByteReader& in) {
  auto op = in.Fixed<ChangeOp>();
  if (!in.ok()) return false;
  EntryId id = table_.Find(key);
  Entry* entry = id == EntryId(0) ? nullptr : table_.at(id);
  ValueType type = entry == nullptr ? ValueType::kNone : entry->type;
  // A write of another type than the value's was not recorded by any shard.
  auto fits = [&](ValueType wanted) { return type == ValueType::kNone || type == wanted; };
  switch (op) {
    case ChangeOp::kEntityCreate: {
      ClassId class_id;
      const ClassSchema* entity_class = catalog_.ClassOfKey(key.text, &class_id);
      if (entity_class == nullptr) return false;
      if (entry != nullptr) RemoveEntry(id);
      id = table_.InsertEntity(key, *entity_class);
      entry = table_.at(id);
      entity_class->row.InitDefaults(table_.row(entry), class_id);
      bool good = entity_class->row.DecodeRow(table_.row(entry), in);
      table_.AddHeapBytes(static_cast<int64_t>(entity_class->row.HeapBytes(table_.row(entry))));
      if (good) {
        CountKey(entry, +1);
      } else {
        table_.Remove(id);
      }
      return good;
    }
    case ChangeOp::kEntityDelta: {
      if (type != ValueType::kEntity) return false;
      const RowSchema& schema = table_.class_of(entry).row;
      auto before = static_cast<int64_t>(schema.HeapBytes(table_.row(entry)));
      bool good = schema.ApplyDelta(table_.row(entry), in);
      table_.AddHeapBytes(static_cast<int64_t>(schema.HeapBytes(table_.row(entry))) - before);
      return good;
    }
    case ChangeOp::kEntityExpire:
    case ChangeOp::kDelete:
      if (entry != nullptr) RemoveEntry(id);
      return true;
    case ChangeOp::kDeadline: {
      auto deadline_ms = in.Fixed<TimeMs>();
      if (entry == nullptr || !in.ok()) return false;
      SetDeadline(id, deadline_ms);
      return true;
    }
    case ChangeOp::kOwnTtl: {
      auto ttl_ms = in.Fixed<int64_t>();
      if (type != ValueType::kEntity || !in.ok()) return false;
      entry->set(kOwnTtl);
      own_ttls_[id.value()] = ttl_ms;
      return true;
    }
    case ChangeOp::kPutString:
    case ChangeOp::kHashSet:
    case ChangeOp::kHashDelete:
    case ChangeOp::kStreamAppend:
    case ChangeOp::kStreamTrim:
      break;
  }
  // The rest are the writes that commands make.
  std::string reply;
  KeyTurn turn(shard_, key, Ticket{}, reply);
  switch (op) {
    case ChangeOp::kPutString: {
      std::string_view value = in.Bytes();
      if (!in.ok() || type == ValueType::kEntity) return false;
      if (type == ValueType::kString) {
        turn.UpdateString(value);
      } else {
        turn.PutString(value, kNeverExpires);
      }
      return true;
    }
    case ChangeOp::kHashSet: {
      if (!fits(ValueType::kHash)) return false;
      uint64_t count = in.Varint();
      for (uint64_t i = 0; i < count && in.ok(); ++i) {
        std::pair<std::string_view, std::string_view> field;
        field.first = in.Bytes();
        field.second = in.Bytes();
        if (in.ok()) turn.HashSet({&field, 1});
      }
      return in.ok();
    }
    case ChangeOp::kHashDelete: {
      // All at once: the hash goes with its last field, and others may be named behind that one.
      uint64_t count = in.Varint();
      std::vector<std::string_view> fields;
      for (uint64_t i = 0; i < count && in.ok(); ++i) fields.push_back(in.Bytes());
      if (!in.ok() || type != ValueType::kHash) return false;
      turn.HashDelete(fields);
      return true;
    }
    case ChangeOp::kStreamAppend: {
      StreamEntryId entry_id{in.Fixed<uint64_t>(), 0};
      entry_id.sequence = in.Fixed<uint64_t>();
      auto form = in.Fixed<StreamEntryForm>();
      std::string_view payload = in.Bytes();
      if (!in.ok() || !fits(ValueType::kStream)) return false;
      StreamEntryId last;
      if (entry != nullptr) last = table_.stream(entry)->last_id;
      if (entry_id <= last) return false;
      turn.StreamAppend(entry_id, form, payload);
      return true;
    }
    case ChangeOp::kStreamTrim: {
      StreamEntryId first{in.Fixed<uint64_t>(), 0};
      first.sequence = in.Fixed<uint64_t>();
      if (!in.ok() || type != ValueType::kStream) return false;
      turn.StreamTrim(first);
      return true;
    }
    default:
      return false;
  }
}

namespace {

uint64_t HashOf(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace

// A sum over keys, so that the order of slots does not matter.
uint64_t Shard::Impl::Digest() const {
  uint64_t digest = 0;
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  auto* self = const_cast<Impl*>(this);
  while (Entry* entry = self->table_.Next(position, slots)) {
    if (entry->has(kPhantom)) continue;
    EntryId id(position - 1);
    uint64_t hash = HashOf(entry->key(), static_cast<uint64_t>(entry->type));
    TimeMs deadline_ms = entry->deadline_ms();
    hash = HashOf({reinterpret_cast<const char*>(&deadline_ms), sizeof(deadline_ms)}, hash);
    std::string text;
    switch (entry->type) {
      case ValueType::kNone:
        break;
      case ValueType::kString:
        hash = HashOf(table_.bytes(entry), hash);
        break;
      case ValueType::kHash: {
        uint64_t fields = 0;
        auto add = [&](std::string_view field, std::string_view value) {
          fields += HashOf(value, HashOf(field, 1));
          return true;
        };
        if (entry->has(kBigHash)) {
          entry->outside<BigHash>()->VisitFrom(0, add);
        } else {
          PackedHash(table_.bytes(entry)).ForEach(add);
        }
        hash ^= fields;
        break;
      }
      case ValueType::kStream: {
        const StreamValue& stream = *table_.stream(entry);
        const uint64_t marks[] = {stream.last_id.ms,        stream.last_id.sequence,
                                  stream.max_deleted_id.ms, stream.max_deleted_id.sequence,
                                  stream.entries_added,     stream.payload_bytes};
        hash = HashOf({reinterpret_cast<const char*>(marks), sizeof(marks)}, hash);
        for (const StreamEntry& item : stream.entries) {
          hash = HashOf({reinterpret_cast<const char*>(&item.id), sizeof(item.id)}, hash);
          hash = HashOf(item.payload, hash + static_cast<uint64_t>(item.form));
        }
        break;
      }
      case ValueType::kEntity:
        table_.class_of(entry).row.EncodeRow(table_.row(entry), text);
        if (entry->has(kOwnTtl)) text += std::to_string(OwnTtl(id));
        hash = HashOf(text, hash);
        break;
    }
    digest += hash;
  }
  return digest;
}

}  // namespace bettong::grid
