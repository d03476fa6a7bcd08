// Entities: lending them to the compute host with messages, and taking the results back.
#include <algorithm>

#include "base/check.h"
#include "base/prefetch.h"
#include "base/simulation.h"
#include "grid/dead_letter.h"
#include "grid/entity_message.h"
#include "grid/shard_impl.h"
#include "grid/tagged.h"

namespace bettong::grid {

void Shard::Impl::OnEvents(EventBatch* batch) {
  batch->outstanding = static_cast<uint32_t>(batch->items.size());
  BETTONG_CHECK(batch->outstanding > 0);
  Hold(batch);
  // Keys come at random: fetch the index two strides and the entry one stride ahead.
  constexpr size_t kStride = 8;
  auto key_of = [&](size_t i) {
    const EventBatch::Item& item = batch->items[i];
    return KeyRef{batch->key(item), item.hash, item.slot};
  };
  size_t count = batch->items.size();
  for (size_t i = 0; i < count; ++i) {
    if (i % kStride == 0) {
      if (i == 0) {
        for (size_t k = 0; k < std::min(count, kStride); ++k) table_.PrefetchIndex(key_of(k));
        for (size_t k = 0; k < std::min(count, kStride); ++k) table_.PrefetchEntry(key_of(k));
      }
      for (size_t k = i + kStride; k < std::min(count, i + 2 * kStride); ++k) {
        table_.PrefetchEntry(key_of(k));
      }
      for (size_t k = i + 2 * kStride; k < std::min(count, i + 3 * kStride); ++k) {
        table_.PrefetchIndex(key_of(k));
      }
    }
    OnEvent(batch, static_cast<uint32_t>(i));
  }
}

Origin OriginOf(const Loan& loan) {
  if (loan.event == nullptr || loan.token == nullptr) return {};
  const auto* batch = static_cast<const EventBatch*>(loan.token);
  return batch->origin(batch->items[loan.item]);
}

void Shard::Impl::OnEvent(EventBatch* batch, uint32_t item_index, uint16_t retries) {
  EventBatch::Item& item = batch->items[item_index];
  uint64_t name = 0;
  const bool comes_again = ComesAgain(item);
  if (comes_again) {
    const Origin origin = batch->origin(item);
    item.target = TargetOf(*batch, item);
    if (item.kind != TurnKind::kKeys) {
      const PartitionId partition = PartitionOfTurn(*batch, item);
      if (marks_[partition.value()].recovering() && Repeated(partition, origin, item.target)) {
        if (item.kind == TurnKind::kMessage) BETTONG_SOMETIMES(message_comes_again);
        return CompleteEvent(batch);
      }
    }
    if (refuses_late_ && IsRefused(item, *batch->record(item))) {
      return DeadLetterEvent(batch, item_index, DescribeLate(*batch->record(item)));
    }
    name = NameOfMessage(origin, item.target);
  }
  const auto fill = [&](Loan& loan) {
    loan.index = item.handler;
    loan.retries = retries;
    loan.last_try = retries_end_ && !comes_again;
    loan.origin = item.source;
    loan.token = batch;
    loan.item = item_index;
    loan.name = name;
  };
  if (IsKeyless(item.kind)) {
    Loan& loan = effects_->loans.emplace_back();
    loan.kind = item.kind;
    loan.entity_class = item.entity_class;
    loan.event = batch->record(item);
    if (item.kind == TurnKind::kFunction) loan.partition = PartitionOfOrigin(batch->origin(item));
    loan.now_ms = now_ms_;
    fill(loan);
    ++stats_.loans_outstanding;
    ++stats_.loans;
    return;
  }
  KeyRef key{batch->key(item), item.hash, item.slot};
  std::string error;
  // Routing made the key from the class's prefix: only a longer prefix can claim it.
  bool owned = !catalog_.classes[item.entity_class.value()].shares_prefix ||
               OwnsKey(item.entity_class, key.text, error);
  EntryId id = owned ? EntityForTurn(key, item.entity_class, /*create=*/true, error) : EntryId(0);
  if (id == EntryId(0)) return DeadLetterEvent(batch, item_index, error);
  Entry* entry = table_.at(id);
  if (entry->has(kLent) && LoanOf(entry).waiting != nullptr) {
    LoanOf(entry).Wait(WaitingMessage{
        .command = nullptr, .batch = batch, .item = item_index, .first = item.first});
    return;
  }
  fill(Lend(id, item.kind, item.entity_class, batch->record(item)));
}

void Shard::Impl::OnCall(const Message& message) {
  const EntryId id = table_.Find(message.key);
  if (id != EntryId(0) && table_.at(id)->has(kLent) && LoanOf(table_.at(id)).waiting != nullptr) {
    LoanOf(table_.at(id)).Wait(WaitingMessage{.command = OwnedCommand::Copy(message)});
    return;
  }
  auto call = std::make_unique<PendingCall>();
  call->spec = message.command;
  call->ticket = message.ticket;
  call->command = message.entity_command;
  call->arguments = message.arguments;
  RunCall(message.key, message.entity_class, std::move(call));
}

void Shard::Impl::RunCall(const KeyRef& key, ClassId class_id, std::unique_ptr<PendingCall> call) {
  const ClassSchema& entity_class = catalog_.classes[class_id.value()];
  if (call->command == kCommandGone) [[unlikely]] {
    std::string tagged;
    TaggedWriter(tagged).Error(
        "ERR new code has taken over while the call waited, and does not have the method");
    return ReplyTagged(*call->spec, call->ticket, tagged);
  }
  const CommandSchema& command = entity_class.commands[call->command];
  std::string error;
  EntryId id;
  if (OwnsKey(class_id, key.text, error)) {
    id = EntityForTurn(key, class_id, command.create, error);
  }
  if (id == EntryId(0)) {
    std::string tagged;
    TaggedWriter(tagged).Error(
        !error.empty()
            ? "WRONGTYPE Operation against a key holding the wrong kind of value: " + error
            : "ERR no such entity: '" + std::string(key.text) + "' (" + entity_class.name + "." +
                  command.name + " does not create one)");
    return ReplyTagged(*call->spec, call->ticket, tagged);
  }
  Loan& loan = Lend(id, TurnKind::kCall, class_id);
  loan.index = call->command;
  loan.arguments = call->arguments;
  loan.token = call.get();
  LoanOf(table_.at(id)).AddCall(call.release());
}

EntryId Shard::Impl::EntityForTurn(const KeyRef& key, ClassId class_id, bool create,
                                   std::string& error) {
  EntryId id = table_.Find(key);
  if (id != EntryId(0) && table_.at(id)->type != ValueType::kEntity) {
    if (!Expired(table_.at(id))) {
      error = "the key holds a value that is not an entity";
      return EntryId(0);
    }
    ExpireNow(id);
    id = EntryId(0);
  }
  if (id == EntryId(0) && create) {
    id = table_.InsertEntity(key, catalog_.classes[class_id.value()]);
    table_.at(id)->set(kPhantom);
  }
  return id;
}

bool Shard::Impl::OwnsKey(ClassId class_id, std::string_view key, std::string& error) const {
  const ClassSchema* owner = catalog_.ClassOfKey(key);
  if (owner == &catalog_.classes[class_id.value()]) return true;
  error = "the key '" + std::string(key) + "' belongs to " +
          (owner == nullptr ? "no class" : "class " + owner->name);
  return false;
}

// The states of free loans were last written by the lane: the next ones are fetched ahead.
LoanState& Shard::Impl::FreeLoan(Entry* entry) {
  uint32_t number;
  if (free_loans_.empty()) {
    number = static_cast<uint32_t>(loans_.size());
    loans_.push_back(std::make_unique<LoanState>());
  } else {
    number = free_loans_.back();
    free_loans_.pop_back();
    constexpr size_t kAhead = 2;
    if (free_loans_.size() >= 2 * kAhead) {
      const uint32_t* last = &free_loans_.back();
      const LoanState& far = *loans_[last[1 - 2 * static_cast<ptrdiff_t>(kAhead)]];
      PrefetchForWriting(&far);
      PrefetchForWriting(&far.row);
      const LoanState& near = *loans_[last[1 - static_cast<ptrdiff_t>(kAhead)]];
      const size_t bytes = std::min(near.row_capacity, kLoanRowBytesAhead);
      for (size_t line = 0; line < bytes; line += 64) {
        PrefetchForWriting(near.row.row.get() + line);
      }
    }
  }
  entry->set(kLent);
  entry->set_loan(static_cast<uint16_t>(std::min<uint32_t>(number, Entry::kLoanElsewhere)));
  if (number >= Entry::kLoanElsewhere) loans_elsewhere_.emplace(entry, number);
  return *loans_[number];
}

// The loan is filled in where it lies: small parts of it that are read again as wholes would have
// to wait until they are all written.
Loan& Shard::Impl::Lend(EntryId id, TurnKind kind, ClassId class_id, const EventRecord* event) {
  Entry* entry = table_.at(id);
  const ClassSchema& entity_class = catalog_.classes[class_id.value()];
  LoanState* state;
  if (entry->has(kLent)) {
    state = &LoanOf(entry);
  } else {
    state = &FreeLoan(entry);
    state->entry = id;
    state->outstanding = 0;
    state->entity_class = class_id;
    state->recheck_deadline = state->recheck_alarms = false;
    state->retry_at_ms = kNeverExpires;
    WorkingRow& row = state->row;
    row.entity_class = class_id;
    row.exists = !entry->has(kPhantom);
    row.has_own_ttl = entry->has(kOwnTtl);
    row.stalled = false;
    row.ttl_ms = row.has_own_ttl ? OwnTtl(id) : entity_class.ttl_ms.value_or(0);
    row.deadline_ms = entry->deadline_ms();
    row.redis_key = entry->key();
    row.prefix_bytes = static_cast<uint32_t>(entity_class.prefix.size() + 1);
    if (state->row_capacity < entity_class.row.row_bytes()) {
      loan_row_bytes_ += entity_class.row.row_bytes() - state->row_capacity;
      state->row_capacity = entity_class.row.row_bytes();
      row.row = std::make_unique_for_overwrite<char[]>(state->row_capacity);
    }
    if (row.exists) entity_class.row.Copy(row.row.get(), table_.row(entry));
  }
  ++state->outstanding;
  ++stats_.loans_outstanding;
  ++stats_.loans;
  Loan& loan = effects_->loans.emplace_back();
  loan.kind = kind;
  loan.entity_class = class_id;
  loan.entry = id;
  loan.row = &state->row;
  loan.event = event;
  loan.now_ms = now_ms_;
  loan.origin = SourceRef{options_.id, SourceId(0)};
  if (now_ms_ < spare_until_ms_) loan.spared_ms = spared_ms_;
  if (entity_class.uses_watermark) {
    loan.watermark_ms = loan.reached_ms = watermarks_.OfClass(entity_class);
    if (kind == TurnKind::kEvent && event->watermark_ms > loan.reached_ms) {
      loan.reached_ms = watermarks_.OfClass(entity_class, event->stream, event->watermark_ms);
    }
  }
  return loan;
}

void Shard::Impl::OnLoanResults(LoanResults& results) {
  constexpr size_t kAhead = 8;
  const std::vector<LoanResult>& all = results.results;
  for (size_t i = 0; i < all.size(); ++i) {
    // The result, the entry, then what it points to and the lines of its row.
    if (i + 4 * kAhead < all.size()) PrefetchObject(&all[i + 4 * kAhead]);
    if (i + 2 * kAhead < all.size() && !IsKeyless(all[i + 2 * kAhead].kind)) {
      PrefetchLine(table_.at(all[i + 2 * kAhead].entry));
    }
    if (i + kAhead < all.size() && !IsKeyless(all[i + kAhead].kind)) {
      Entry* ahead = table_.at(all[i + kAhead].entry);
      PrefetchLine(&LoanOf(ahead));
      for (size_t line = 64; line < ahead->slot_bytes(); line += 64) {
        PrefetchLine(reinterpret_cast<const char*>(ahead) + line);
      }
    }
    const LoanResult& result = results.results[i];
    --stats_.loans_outstanding;
    stats_.turns_failed += result.failed_turns;
    if (result.outcome == LoanOutcome::kReturned) {
      OnReturned(result);
      ReturnLoan(result.entry);
      continue;
    }
    PartitionId partition;
    const bool keyless = IsKeyless(result.kind);
    const bool of_event = keyless || IsEventTurn(result.kind);
    const auto* batch = of_event ? static_cast<EventBatch*>(result.token) : nullptr;
    const Origin origin = of_event ? batch->origin(batch->items[result.item])
                                   : Origin{.source = SourceRef{options_.id, SourceId(0)}};
    if (of_event) {
      const EventBatch::Item& item = batch->items[result.item];
      if (keyless) {
        partition = PartitionOfOrigin(origin);
        if (result.kind == TurnKind::kFunction && !BETTONG_PLANTED(functions_leave_no_marks)) {
          NoteApplied(partition, origin, item.target);
        }
      } else {
        partition = slot_map_.PartitionOf(item.slot);
        const bool unmarked =
            result.kind == TurnKind::kMessage && BETTONG_PLANTED(messages_leave_no_mark);
        if (!unmarked &&
            (result.outcome == LoanOutcome::kDone || BETTONG_PLANTED(retry_counts_as_applied))) {
          NoteApplied(partition, origin, item.target);
        }
      }
    } else {
      partition = slot_map_.PartitionOf(SlotOfKey(table_.at(result.entry)->key()));
    }
    if (!keyless) {
      if (result.container_bytes != 0) {
        table_.AddContainerBytes(LoanOf(table_.at(result.entry)).entity_class,
                                 result.container_bytes);
      }
      ApplyEntityChanges(
          result.entry, partition,
          std::string_view(results.bytes)
              .substr(result.changes_begin, result.changes_end - result.changes_begin),
          std::span(results.containers)
              .subspan(result.containers_begin, result.containers_end - result.containers_begin));
      for (uint32_t k = result.alarms_begin; k < result.alarms_end; ++k) {
        alarms_.Set(result.entry, LoanOf(table_.at(result.entry)).entity_class, results.alarms[k]);
        ++filed_records_;
      }
    }
    for (uint32_t k = result.outputs_begin; k < result.outputs_end; ++k) {
      const LoanOutput& output = results.outputs[k];
      const std::string_view json =
          std::string_view(results.bytes).substr(output.begin, output.end - output.begin);
      if (result.kind == TurnKind::kKeys) {
        // A letter of a key function that failed, which may fail again for the same event.
        const uint64_t target = batch->items[result.item].target;
        if (Repeated(partition, origin, target)) continue;
        NoteApplied(partition, origin, target);
      }
      AddOutput(output.stream, partition, origin.source, json);
    }
    switch (result.kind) {
      case TurnKind::kEvent:
      case TurnKind::kMessage:
        if (result.outcome == LoanOutcome::kRetry) {
          OnRetry(result);
          break;
        }
        ++stats_.events;
        CompleteEvent(static_cast<EventBatch*>(result.token));
        break;
      case TurnKind::kKeys:
        OnKeys(result, results);
        break;
      case TurnKind::kFunction:
        ++stats_.events;
        CompleteEvent(static_cast<EventBatch*>(result.token));
        break;
      case TurnKind::kCall: {
        std::unique_ptr<PendingCall> call = LoanOf(table_.at(result.entry)).TakeCall();
        BETTONG_CHECK(call.get() == result.token);
        ReplyTagged(*call->spec, call->ticket,
                    std::string_view(results.bytes)
                        .substr(result.reply_begin, result.reply_end - result.reply_begin));
        break;
      }
      case TurnKind::kCreate:
      case TurnKind::kExpire:
      case TurnKind::kDue:
      case TurnKind::kTimer:
      case TurnKind::kClose:
        break;
    }
    if (!keyless) ReturnLoan(result.entry);
  }
}

void Shard::Impl::OnKeys(const LoanResult& result, const LoanResults& results) {
  auto* batch = static_cast<EventBatch*>(result.token);
  const EventBatch::Item& item = batch->items[result.item];
  if (result.reply_end > result.reply_begin) {
    TaggedReader keys(std::string_view(results.bytes)
                          .substr(result.reply_begin, result.reply_end - result.reply_begin));
    uint64_t count = keys.Next().size;
    const std::string& prefix = catalog_.classes[item.entity_class.value()].prefix;
    absl::flat_hash_map<std::string, uint8_t> seen;  // how often each key was named
    for (uint64_t i = 0; i < count; ++i) {
      KeyedEvent& event = effects_->keyed_events.emplace_back();
      event.record = batch->record(item);
      event.entity_class = item.entity_class;
      event.handler = item.handler;
      event.redis_key.append(prefix).append(":").append(keys.Next().bytes);
      event.origin = batch->origin(item);
      if (count > 1) event.occurrence = seen[event.redis_key]++;
    }
  }
  ++effects_->keys_done;
  CompleteEvent(batch);
}

void Shard::Impl::ApplyEntityChanges(EntryId id, PartitionId partition, std::string_view changes,
                                     std::span<std::unique_ptr<Container>> containers) {
  if (changes.empty()) return;
  Entry* entry = table_.at(id);
  // Which class a phantom is of, its row cannot tell.
  const ClassId entity_class = LoanOf(entry).entity_class;
  if (options_.record_changes) {
    journal_.Changes(partition, entity_class, entry->key(), changes);
  }
  const RowSchema& schema = catalog_.classes[entity_class.value()].row;
  ByteReader in(changes);
  while (true) {
    auto op = in.Fixed<ChangeOp>();
    switch (op) {
      case ChangeOp::kEntityCreate: {
        schema.InitDefaults(table_.row(entry), entity_class);
        ByteReader row(in.Bytes());
        BETTONG_CHECK(schema.DecodeRow(table_.row(entry), row));
        schema.TakeContainers(table_.row(entry), containers);
        // Its containers' bytes are in the result: the lane may be at them again.
        table_.AddHeapBytes(static_cast<int64_t>(schema.StringBytes(table_.row(entry))));
        entry->clear(kPhantom);
        CountKey(entry, +1);
        break;
      }
      case ChangeOp::kEntityDelta: {
        int64_t before =
            schema.has_strings() ? static_cast<int64_t>(schema.StringBytes(table_.row(entry))) : 0;
        ByteReader delta(in.Bytes());
        BETTONG_CHECK(schema.ApplyDelta(table_.row(entry), delta, /*replay=*/false));
        if (schema.has_strings()) {
          table_.AddHeapBytes(static_cast<int64_t>(schema.StringBytes(table_.row(entry))) - before);
        }
        break;
      }
      case ChangeOp::kEntityExpire:
      case ChangeOp::kDelete:
        if (op == ChangeOp::kEntityExpire) {
          ++stats_.expired_keys;
          Notify(kNotifyExpired, "expired", entry->key());
        } else {
          Notify(kNotifyGeneric, "del", entry->key());
        }
        CountKey(entry, -1);
        if (entry->has(kOwnTtl)) own_ttls_.erase(id.value());
        entry->clear(kOwnTtl);
        // The lane has left what was there.
        if (schema.has_heap()) table_.AddRowBytes(entry, -1);
        schema.Destroy(table_.row(entry));
        entry->set(kPhantom);
        entry->set_deadline(kNeverExpires);
        break;
      case ChangeOp::kDeadline:
        SetDeadline(id, in.Fixed<TimeMs>());
        break;
      case ChangeOp::kOwnTtl:
        entry->set(kOwnTtl);
        own_ttls_[id.value()] = in.Fixed<int64_t>();
        break;
      default:
        BETTONG_CHECK(false);
    }
    BETTONG_CHECK(in.ok());
    if (in.empty()) return;
    BETTONG_CHECK(in.Fixed<LogEntryKind>() == LogEntryKind::kMore);
  }
}

void Shard::Impl::Hold(EventBatch* batch) {
  batch->held_after = held_batches_;
  if (held_batches_ != nullptr) held_batches_->held_before = batch;
  held_batches_ = batch;
}

void Shard::Impl::CompleteEvent(EventBatch* batch) {
  if (--batch->outstanding > 0) return;
  (batch->held_before != nullptr ? batch->held_before->held_after : held_batches_) =
      batch->held_after;
  if (batch->held_after != nullptr) batch->held_after->held_before = batch->held_before;
  // Most of a batch is of one source.
  for (auto item = batch->items.begin(); item != batch->items.end();) {
    const SourceRef source = item->source;
    int32_t done = 0;
    for (; item != batch->items.end() && item->source == source; ++item) --done;
    AddCredit(effects_->credits, source, done);
  }
  effects_->completed.push_back(batch);
}

void Shard::Impl::ReturnLoan(EntryId id) {
  Entry* entry = table_.at(id);
  LoanState& state = LoanOf(entry);
  if (--state.outstanding > 0) return;
  const RowSchema& schema = catalog_.classes[state.entity_class.value()].row;
  if (schema.has_strings() && state.row.exists) {
    schema.DestroyCopy(state.row.row.get());
    state.row.exists = false;
  }
  if (state.row_capacity > kLoanRowBytesKeptMax) {
    loan_row_bytes_ -= std::exchange(state.row_capacity, 0);
    state.row.row.reset();
  }
  if (state.rests()) return Rest(id);
  if (state.waiting == nullptr) return Release(id);
  std::unique_ptr<WaitingQueue> waiting = std::move(state.waiting);
  std::string redis_key(entry->key());
  Release(id);
  RunWaiting(redis_key, std::move(waiting));
}

// The entity is nobody's but the shard's again; a phantom that no turn created goes.
void Shard::Impl::Release(EntryId id) {
  Entry* entry = table_.at(id);
  bool recheck = LoanOf(entry).recheck_deadline;
  bool recheck_alarms = LoanOf(entry).recheck_alarms && !BETTONG_PLANTED(alarm_lost_behind_a_retry);
  free_loans_.push_back(LoanNumber(entry));
  if (entry->loan() == Entry::kLoanElsewhere) loans_elsewhere_.erase(entry);
  entry->set_loan(0);
  entry->clear(kLent);
  if (entry->has(kPhantom)) return table_.Remove(id);
  if (recheck && entry->has(kHasDeadline)) FileDeadline(id);
  if (recheck_alarms) {
    BETTONG_SOMETIMES(alarm_rings_behind_a_retry);
    SetAlarms(id);
  }
}

// What waited runs now, in order; behind a message that lends the entity again, only those go on
// that are lent themselves.
void Shard::Impl::RunWaiting(const std::string& redis_key, std::unique_ptr<WaitingQueue> waiting) {
  KeyRef key = slot_map_.Key(redis_key);
  while (!waiting->empty()) {
    EntryId id = table_.Find(key);
    bool lent = id != EntryId(0) && table_.at(id)->has(kLent);
    const WaitingMessage& first = waiting->front();
    if (lent && !first.lends()) {
      LoanOf(table_.at(id)).waiting = std::move(waiting);
      return;
    }
    WaitingMessage message = waiting->Pop();
    if (message.image) {
      WriteAwaitedImage(id);
    } else if (message.letter != nullptr) {
      EndEvent(message.batch, message.item, *message.letter);
    } else if (message.batch != nullptr) {
      OnEvent(message.batch, message.item, message.retries);
    } else if (message.call != nullptr) {
      ClassId entity_class;
      catalog_.ClassOfKey(redis_key, &entity_class);
      RunCall(key, entity_class, std::move(message.call));
    } else if (message.command->flush == nullptr) {
      RunOwned(std::move(message.command));
    } else {
      if (id != EntryId(0)) {
        Change(key, ChangeOp::kDelete);
        RemoveEntry(id);
      }
      FlushedOne(*message.command->flush);
    }
  }
}

void Shard::Impl::DeadLetterEvent(EventBatch* batch, uint32_t item_index, std::string_view error) {
  EndEvent(batch, item_index, RenderLetter(catalog_, *batch, batch->items[item_index], error));
}

std::string Shard::Impl::RenderLetter(const Catalog& catalog, const EventBatch& batch,
                                      const EventBatch::Item& item, std::string_view error) {
  const EventRecord* record = batch.record(item);
  const StreamSchema& stream = catalog.streams[record->stream.value()];
  std::string event_json = RenderEventJson(*record, stream.event);
  DeadLetter letter;
  letter.stream = stream.name;
  if (item.kind == TurnKind::kFunction) {
    letter.handler = catalog.functions[item.handler].name;
  } else {
    const ClassSchema& entity_class = catalog.classes[item.entity_class.value()];
    letter.entity_class = entity_class.name;
    letter.key = batch.key(item).substr(entity_class.prefix.size() + 1);
    letter.handler = item.kind == TurnKind::kMessage
                         ? MessageText(*record, MessageField::kMethod)
                         : std::string_view(entity_class.handlers[item.handler].method);
  }
  letter.event_json = event_json;
  letter.error = error;
  std::string place;
  if (options_.origin_places != nullptr) {
    const Origin origin = batch.origin(item);
    place = options_.origin_places->Find(origin.channel, origin.position);
  }
  letter.origin_json = place;
  return RenderDeadLetter(letter);
}

// With a letter in the place of its turn.
void Shard::Impl::EndEvent(EventBatch* batch, uint32_t item_index, std::string_view letter) {
  const EventBatch::Item& item = batch->items[item_index];
  const PartitionId partition = PartitionOfTurn(*batch, item);
  NoteApplied(partition, batch->origin(item), item.target);
  AddOutput(catalog_.dead_letters, partition, item.source, letter);
  ++stats_.turns_failed;
  ++stats_.events;
  CompleteEvent(batch);
}

}  // namespace bettong::grid
