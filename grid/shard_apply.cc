// Changes: written for the log as turns run, applied again by recovery, replicas and migration.
#include <absl/strings/str_cat.h>
#include <xxhash.h>

#include <algorithm>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/entry_reader.h"
#include "grid/replay.h"
#include "grid/row_conversion.h"
#include "grid/row_tagged.h"
#include "grid/shard_impl.h"

namespace bettong::grid {

std::string* Shard::Impl::Change(const KeyRef& key, ChangeOp op) {
  if (!options_.record_changes) return nullptr;
  return &journal_.Change(slot_map_.PartitionOf(key.slot), key.text, op);
}

std::string* Shard::Impl::RowChange(const KeyRef& key, ChangeOp op, ClassId entity_class) {
  if (!options_.record_changes) return nullptr;
  journal_.Class(slot_map_.PartitionOf(key.slot), entity_class);
  return Change(key, op);
}

// What a deadline brings about is in the changes, too: this shard's clock, which may be ahead of
// the one that they were recorded by, has no say while they are applied.
absl::Status Shard::Impl::Apply(const wal::Section& section, bool whole) {
  if (replay_ == nullptr) replay_ = std::make_unique<Replay>(slot_map_.partitions());
  replay_->now_ms = std::max(replay_->now_ms, section.now_ms);
  if (section.kind != wal::SectionKind::kData) return absl::OkStatus();
  if (wheel_.size() == 0) wheel_.SkipTo(std::max(now_ms_, section.now_ms));
  TimeMs now_ms = std::exchange(now_ms_, kNoTime);
  if (BETTONG_PLANTED(expiry_by_clock_on_replay)) now_ms_ = section.now_ms + 100;
  bool recording = std::exchange(options_.record_changes, false);
  uint32_t notify = std::exchange(options_.notify_classes, 0);
  Effects ignored;
  effects_ = &ignored;
  absl::Status status = ApplyEntries(section, whole);
  effects_ = nullptr;
  grown_streams_.clear();
  options_.record_changes = recording;
  options_.notify_classes = notify;
  now_ms_ = now_ms;
  return status;
}

absl::Status Shard::Impl::ApplyEntries(const wal::Section& section, bool whole) {
  EntryReader reader(section.entries);
  const LogEntry& entry = reader.entry();
  while (true) {
    Applied applied = Applied::kMalformed;
    if (reader.Next()) {
      applied = entry.is_change() ? ApplyOne(section.partition, slot_map_.Key(entry.key), entry)
                                  : ApplyEntry(section.partition, entry);
    } else if (reader.ok()) {
      return absl::OkStatus();
    }
    if (applied == Applied::kDone || (applied == Applied::kNoBase && !whole)) continue;
    std::string what = absl::StrCat("entry of kind ", static_cast<int>(entry.kind), " at byte ",
                                    entry.at, " of the section: ");
    if (entry.is_change()) {
      absl::StrAppend(&what, "key '", std::string(entry.key.substr(0, 100)), "': ");
    }
    return absl::DataLossError(what + (applied == Applied::kNoBase
                                           ? "a change without the value that it belongs to"
                                           : "not what was recorded"));
  }
}

Shard::Impl::Applied Shard::Impl::ApplyEntry(PartitionId id, const LogEntry& entry) {
  Replay::Partition& partition = replay_->partitions[id.value()];
  AppliedMarks& marks = marks_[id.value()];
  uint64_t& sequence = output_sequences_[id.value()];
  uint64_t& confirmed = confirmed_[id.value()];
  switch (entry.kind) {
    case LogEntryKind::kApplied:
    case LogEntryKind::kAppliedMore:
      marks.Recover(entry.channel, {entry.number, entry.target});
      return Applied::kDone;
    case LogEntryKind::kLowWater:
      marks.RecoverLowWater(entry.channel, entry.number);
      return Applied::kDone;
    case LogEntryKind::kOutput:
    case LogEntryKind::kInput:
      sequence = std::max(sequence, entry.number);
      // A checkpoint repeats what is not confirmed yet.
      if (entry.number > confirmed) {
        partition.pending.try_emplace(entry.number,
                                      Replay::Pending{.stream = std::string(entry.name),
                                                      .input = entry.kind == LogEntryKind::kInput,
                                                      .id = entry.id,
                                                      .payload = std::string(entry.bytes)});
      }
      return Applied::kDone;
    case LogEntryKind::kConfirmed:
      confirmed = std::max(confirmed, entry.number);
      partition.pending.erase(partition.pending.begin(), partition.pending.upper_bound(confirmed));
      return Applied::kDone;
    case LogEntryKind::kEndpoint:
      endpoints_[id.value()].insert_or_assign(std::string(entry.name), entry.bytes);
      return Applied::kDone;
    case LogEntryKind::kWatermark: {
      TimeMs& known =
          replay_->watermarks.try_emplace(std::string(entry.name), kNoTime).first->second;
      known = std::max(known, entry.ms);
      return Applied::kDone;
    }
    case LogEntryKind::kClass:
      return LearnClass(id, std::string(entry.name), entry.bytes);
    case LogEntryKind::kSequences:
      sequence = std::max(sequence, entry.number);
      return Applied::kDone;
    case LogEntryKind::kChange:
    case LogEntryKind::kMore:
      break;
  }
  return Applied::kMalformed;
}

Shard::Impl::Applied Shard::Impl::LearnClass(PartitionId partition, const std::string& name,
                                             std::string_view bytes) {
  Replay::Partition& replay = replay_->partitions[partition.value()];
  std::optional<RowSchema> schema = RowSchema::DecodeSchema(bytes);
  if (!schema) return Applied::kMalformed;
  ClassId class_id;
  // Entities of a class that is gone are noted where they come.
  const ClassSchema* entity_class = catalog_.FindClass(name, &class_id);
  if (entity_class == nullptr) return Applied::kDone;
  const size_t at = class_id.value();
  replay.readers.resize(catalog_.classes.size());
  replay.refusals.resize(catalog_.classes.size());
  replay.written.resize(catalog_.classes.size());
  replay.readers[at].reset();
  replay.refusals[at].reset();
  if (entity_class->has_migrate && !SameLayout(*schema, entity_class->row)) {
    replay.refusals[at] = "";
    replay.written[at] = std::make_shared<const RowSchema>(*std::move(schema));
    return Applied::kDone;
  }
  auto reader = RowReader::Make(*std::move(schema), entity_class->row);
  if (reader.ok()) {
    replay.readers[at] = *std::move(reader);
  } else {
    replay.refusals[at] = absl::StrCat("entities of class ", name, ": ", reader.status().message());
  }
  return Applied::kDone;
}

// Rows that the app's code cannot read may be of a time before a reload, and gone by now.
Shard::Impl::Applied Shard::Impl::ApplyUnread(PartitionId partition, const KeyRef& key, bool create,
                                              std::unique_ptr<UnreadRow> fresh,
                                              std::string_view payload) {
  auto& unread = replay_->partitions[partition.value()].unread;
  const auto at = unread.find(key.text);
  ByteReader in(payload);
  if (!create && at != unread.end()) {
    return at->second->Apply(create, in) ? Applied::kDone : Applied::kMalformed;
  }
  const EntryId id = table_.Find(key);
  if (id != EntryId(0) && table_.at(id)->type != ValueType::kEntity) return Applied::kMalformed;
  if (!create && id == EntryId(0)) return Applied::kNoBase;
  if (!create) {
    // It has been read so far, and its change cannot be.
    fresh = std::make_unique<UnreadRow>("its row is of a later version of the code than this");
  } else if (!fresh->Apply(create, in)) {
    return Applied::kMalformed;
  }
  if (id != EntryId(0)) RemoveEntry(id);
  unread.insert_or_assign(std::string(key.text), std::move(fresh));
  return Applied::kDone;
}

absl::Status Shard::Impl::CheckAllRead(const Migrate& migrate) const {
  if (replay_ == nullptr) return absl::OkStatus();
  std::string fields;
  for (const Replay::Partition& partition : replay_->partitions) {
    for (const auto& [key, row] : partition.unread) {
      std::string why = row->why;
      if (why.empty() && !migrate) why = "its row is of another version of its class";
      if (why.empty()) {
        const ClassSchema& entity_class = catalog_.classes[row->entity_class.value()];
        fields.clear();
        AppendRowTagged(*row->schema, row->row.get(), fields);
        row->delta.clear();
        const absl::Status status =
            migrate(row->entity_class, std::string_view(key).substr(entity_class.prefix.size() + 1),
                    fields, row->delta);
        if (!status.ok()) why = std::string(status.message());
      }
      if (why.empty()) continue;
      return absl::FailedPreconditionError(absl::StrCat("key '", key.substr(0, 100), "': ", why));
    }
  }
  return absl::OkStatus();
}

// What migrate has made of rows is theirs from here on, in the log, too.
void Shard::Impl::TakeMigrated() {
  for (Replay::Partition& partition : replay_->partitions) {
    for (const auto& [text, row] : partition.unread) {
      BETTONG_CHECK(row->schema != nullptr);  // CheckAllRead
      const KeyRef key = slot_map_.Key(text);
      const ClassSchema& entity_class = catalog_.classes[row->entity_class.value()];
      auto conversion =
          RowConversion::Make(*row->schema, entity_class.row, RowReader::Unfit::kDrop);
      BETTONG_CHECK(conversion.ok());
      const EntryId id = table_.InsertEntity(key, entity_class);
      Entry* entry = table_.at(id);
      conversion->Convert(row->row.get(), table_.row(entry), row->entity_class);
      row->schema.reset();  // the old row is gone
      ByteReader delta(row->delta);
      BETTONG_CHECK(entity_class.row.ApplyDelta(table_.row(entry), delta));
      table_.AddRowBytes(entry, +1);
      CountKey(entry, +1);
      if (row->own_ttl_ms) {
        entry->set(kOwnTtl);
        own_ttls_[id.value()] = *row->own_ttl_ms;
      }
      SetDeadline(id, row->deadline_ms);
      if (options_.record_changes) WriteImage(id, entry);
    }
    partition.unread.clear();
  }
}

Shard::Impl::Applied Shard::Impl::ApplyRow(PartitionId partition, const KeyRef& key, bool create,
                                           std::string_view payload) {
  ClassId class_id;
  const ClassSchema* entity_class = catalog_.ClassOfKey(key.text, &class_id);
  if (entity_class == nullptr) {
    return ApplyUnread(
        partition, key, create,
        std::make_unique<UnreadRow>("an entity, and no app declares a class with this prefix; "
                                    "start with the app that does"),
        payload);
  }
  Replay::Partition& replay = replay_->partitions[partition.value()];
  replay.readers.resize(catalog_.classes.size());
  replay.refusals.resize(catalog_.classes.size());
  if (const auto& why = replay.refusals[class_id.value()]) {
    auto fresh = why->empty()
                     ? std::make_unique<UnreadRow>(class_id, replay.written[class_id.value()])
                     : std::make_unique<UnreadRow>(*why);
    return ApplyUnread(partition, key, create, std::move(fresh), payload);
  }
  const std::optional<RowReader>& reader = replay.readers[class_id.value()];
  if (!reader) return Applied::kNoBase;
  if (!replay.unread.empty()) {
    const auto unread = replay.unread.find(key.text);
    if (unread != replay.unread.end()) {
      if (!create) return Applied::kNoBase;
      replay.unread.erase(unread);
    }
  }
  EntryId id = table_.Find(key);
  ByteReader in(payload);
  if (create) {
    if (id != EntryId(0)) RemoveEntry(id);
    id = table_.InsertEntity(key, *entity_class);
    Entry* entry = table_.at(id);
    entity_class->row.InitDefaults(table_.row(entry), class_id);
    entity_class->row.MakeContainers(table_.row(entry));
    const bool good = reader->DecodeRow(table_.row(entry), in) && in.empty();
    table_.AddRowBytes(entry, +1);
    if (good) {
      CountKey(entry, +1);
    } else {
      table_.Remove(id);
    }
    return good ? Applied::kDone : Applied::kMalformed;
  }
  if (id == EntryId(0)) return Applied::kNoBase;
  Entry* entry = table_.at(id);
  if (entry->type != ValueType::kEntity) return Applied::kMalformed;
  table_.AddRowBytes(entry, -1);
  const bool good = reader->ApplyDelta(table_.row(entry), in) && in.empty();
  table_.AddRowBytes(entry, +1);
  return good ? Applied::kDone : Applied::kMalformed;
}

Shard::Impl::Applied Shard::Impl::ApplyOne(PartitionId partition, const KeyRef& key,
                                           const LogEntry& change) {
  const ChangeOp op = change.op;
  if (op == ChangeOp::kEntityCreate || op == ChangeOp::kEntityDelta) {
    return ApplyRow(partition, key, op == ChangeOp::kEntityCreate, change.bytes);
  }
  auto& unread = replay_->partitions[partition.value()].unread;
  if (const auto at = unread.find(key.text); at != unread.end()) {
    if (op == ChangeOp::kDeadline) at->second->deadline_ms = change.ms;
    if (op == ChangeOp::kOwnTtl) at->second->own_ttl_ms = change.ms;
    if (op == ChangeOp::kDeadline || op == ChangeOp::kOwnTtl) return Applied::kDone;
    unread.erase(at);  // it has ended, or another value takes its place
  }
  EntryId id = table_.Find(key);
  Entry* entry = id == EntryId(0) ? nullptr : table_.at(id);
  ValueType type = entry == nullptr ? ValueType::kNone : entry->type;
  // Of a value that must be there, with the right type: a write of another was not recorded by any
  // shard.
  const auto base = [&](ValueType wanted) {
    if (type == ValueType::kNone) return Applied::kNoBase;
    return type == wanted ? Applied::kDone : Applied::kMalformed;
  };
  std::string reply;
  KeyTurn turn(shard_, key, Ticket{}, reply);
  switch (op) {
    case ChangeOp::kEntityExpire:
    case ChangeOp::kDelete:
      if (entry != nullptr) RemoveEntry(id);
      return Applied::kDone;
    case ChangeOp::kDeadline:
      if (entry == nullptr) return Applied::kNoBase;
      SetDeadline(id, change.ms);
      return Applied::kDone;
    case ChangeOp::kOwnTtl: {
      const Applied found = base(ValueType::kEntity);
      if (found != Applied::kDone) return found;
      entry->set(kOwnTtl);
      own_ttls_[id.value()] = change.ms;
      return Applied::kDone;
    }
    case ChangeOp::kPutString:
      if (type == ValueType::kEntity) return Applied::kMalformed;
      if (type == ValueType::kString) {
        turn.UpdateString(change.bytes);
      } else {
        turn.PutString(change.bytes, kNeverExpires);
      }
      return Applied::kDone;
    case ChangeOp::kNew:
      // One that is there with its history is being imaged, in pieces: a round that a crash ends
      // early must not leave the first of them only. A value that takes its place comes behind a
      // change that removes it.
      if (type == change.type && (type == ValueType::kHash || type == ValueType::kStream) &&
          !BETTONG_PLANTED(image_empties_what_is_there)) {
        return Applied::kDone;
      }
      if (entry != nullptr) RemoveEntry(id);
      if (change.type == ValueType::kString) return Applied::kDone;
      id = table_.Insert(key, change.type, 0, false);
      CountKey(table_.at(id), +1);
      return Applied::kDone;
    case ChangeOp::kHashSet:
    case ChangeOp::kHashPiece: {
      const Applied found = base(ValueType::kHash);
      const bool creates = op == ChangeOp::kHashPiece && found == Applied::kNoBase;
      if (found != Applied::kDone && !creates) return found;
      for (const auto& field : change.fields) turn.HashSet({&field, 1});
      return Applied::kDone;
    }
    case ChangeOp::kHashDelete: {
      // All at once: the hash goes with its last field, and others may be named behind that one.
      const Applied found = base(ValueType::kHash);
      if (found == Applied::kDone) turn.HashDelete(change.names);
      return found;
    }
    case ChangeOp::kStreamAppend: {
      const LogEntry::StreamItem& item = change.items[0];
      const Applied found = base(ValueType::kStream);
      if (found != Applied::kDone) return found;
      if (item.id <= table_.stream(entry)->last_id) return Applied::kMalformed;
      AppendToStream(id, key, item.id, item.form, item.payload);
      return Applied::kDone;
    }
    case ChangeOp::kStreamTrim: {
      const Applied found = base(ValueType::kStream);
      if (found == Applied::kDone) TrimStream(id, key, change.id);
      return found;
    }
    case ChangeOp::kStreamDelete: {
      const Applied found = base(ValueType::kStream);
      if (found == Applied::kDone) DeleteFromStream(id, key, change.ids);
      return found;
    }
    case ChangeOp::kStreamPiece: {
      const Applied found = base(ValueType::kStream);
      if (found == Applied::kDone) InsertPieces(id, change.items);
      return found;
    }
    case ChangeOp::kStreamMarks: {
      const Applied found = base(ValueType::kStream);
      if (found != Applied::kDone) return found;
      StreamValue& stream = *table_.stream(entry);
      stream.last_id = change.id;
      stream.max_deleted_id = change.max_deleted_id;
      stream.entries_added = change.number;
      return Applied::kDone;
    }
    case ChangeOp::kEntityCreate:
    case ChangeOp::kEntityDelta:
      break;
  }
  return Applied::kMalformed;
}

// Entries of an image among those that were appended since it was begun.
void Shard::Impl::InsertPieces(EntryId id, std::span<const LogEntry::StreamItem> pieces) {
  StreamValue& stream = *table_.stream(table_.at(id));
  for (const LogEntry::StreamItem& piece : pieces) {
    const size_t at = stream.LowerBound(piece.id);
    if (at < stream.entries.size() && stream.entries[at].id == piece.id) continue;
    stream.payload_bytes += piece.payload.size();
    table_.AddHeapBytes(static_cast<int64_t>(piece.payload.size() + sizeof(StreamEntry)));
    stream.entries.insert(stream.entries.begin() + static_cast<ptrdiff_t>(at),
                          StreamEntry{piece.id, piece.form, std::string(piece.payload)});
  }
}

void Shard::Impl::FinishRecovery(wal::Epoch epoch, TimeMs now_ms, RecoveredOutbox& outbox) {
  journal_.SetEpoch(epoch);
  now_ms_ = std::max(now_ms_, now_ms);
  if (replay_ == nullptr) return;
  now_ms_ = std::max(now_ms_, replay_->now_ms);
  for (size_t i = 0; i < replay_->partitions.size(); ++i) {
    const PartitionId partition(static_cast<uint16_t>(i));
    for (auto& [sequence, pending] : replay_->partitions[i].pending) {
      StreamId stream;
      if (catalog_.FindStream(pending.stream, &stream) == nullptr) {
        outbox.unknown_streams.push_back(pending.stream);
        continue;
      }
      const uint64_t begin = outbox.bytes.size();
      outbox.bytes.append(pending.payload);
      if (pending.input) {
        outbox.inputs.push_back(
            StreamInput{stream, partition, sequence, pending.id, begin, outbox.bytes.size()});
      } else {
        outbox.outputs.push_back(
            Output{stream, partition, sequence, {}, begin, outbox.bytes.size()});
      }
    }
  }
  for (const auto& [name, watermark_ms] : replay_->watermarks) {
    StreamId stream;
    if (catalog_.FindStream(name, &stream) != nullptr) watermarks_.Restore(stream, watermark_ms);
  }
  TakeMigrated();
  replay_.reset();
  SetAllAlarms();
}

void Shard::Impl::SetAllAlarms() {
  const bool none = std::none_of(catalog_.classes.begin(), catalog_.classes.end(),
                                 [](const ClassSchema& c) { return c.row.has_timed(); });
  if (none) return;
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  while (Entry* entry = table_.Next(position, slots)) {
    if (entry->type != ValueType::kEntity || entry->has(kPhantom)) continue;
    if (!BETTONG_PLANTED(recovered_timers_are_not_set)) SetAlarms(EntryId(position - 1));
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
