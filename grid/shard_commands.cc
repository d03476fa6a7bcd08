// Commands on a shard: running them, parking them behind busy keys, and readers that wait.
#include <algorithm>

#include "base/check.h"
#include "grid/shard_impl.h"
#include "grid/tagged.h"

namespace bettong::grid {

std::unique_ptr<OwnedCommand> OwnedCommand::Copy(const Message& message) {
  auto command = std::make_unique<OwnedCommand>();
  command->spec = message.command;
  command->storage.reserve(message.args.size() + 1);
  for (std::string_view arg : message.args) command->storage.emplace_back(arg);
  for (const std::string& arg : command->storage) command->args.push_back(arg);
  command->storage.emplace_back(message.key.text);
  command->ticket = message.ticket;
  command->entity_class = message.entity_class;
  command->entity_command = message.entity_command;
  command->arguments = message.arguments;
  return command;
}

// The cache misses of a pipeline's keys overlap: each pass fetches what the next one looks at.
void Shard::Impl::PrefetchCommands(std::span<const Message> batch) {
  auto each = [&](auto&& step) {
    for (const Message& message : batch) {
      if (message.kind == MessageKind::kCommand && !message.key.text.empty()) step(message);
    }
  };
  each([this](const Message& message) { table_.PrefetchIndex(message.key); });
  each([this](const Message& message) { table_.PrefetchEntry(message.key); });
  fields_ahead_.clear();
  each([this](const Message& message) {
    const size_t field = message.command->field_argument;
    if (field == 0 || field >= message.args.size()) return;
    const EntryId id = table_.Find(message.key);
    if (id == EntryId(0) || !table_.at(id)->has(kBigHash)) return;
    const auto* hash = table_.at(id)->outside<BigHash>();
    fields_ahead_.emplace_back(hash, hash->HashOf(message.args[field]));
    hash->PrefetchCell(fields_ahead_.back().second);
  });
  for (const auto& [hash, field] : fields_ahead_) hash->PrefetchPosition(field);
  for (const auto& [hash, field] : fields_ahead_) hash->PrefetchField(field);
}

void Shard::Impl::OnCommand(const Message& message) {
  const CommandSpec& spec = *message.command;
  ++stats_.commands;
  if (spec.grows_memory && options_.maxmemory_bytes != 0 &&
      used_bytes() > options_.maxmemory_bytes) {
    std::string tagged;
    TaggedWriter(tagged).Error(kOutOfMemory);
    ReplyTagged(spec, message.ticket, tagged);
    return;
  }
  if (read_only_ && (spec.writes || spec.calls_entity)) {
    std::string tagged;
    TaggedWriter(tagged).Error(kReadOnly);
    ReplyTagged(spec, message.ticket, tagged);
    return;
  }
  if (spec.calls_entity) return OnCall(message);
  if (spec.run_shard != nullptr) return RunShardCommand(spec, message.args, message.ticket);

  EntryId id = table_.Find(message.key);
  if (id != EntryId(0)) {
    Entry* entry = table_.at(id);
    if (entry->has(kLent)) {
      LoanState& loan = LoanOf(entry);
      const RowSchema& row = catalog_.classes[loan.row.entity_class.value()].row;
      const bool lane_at_it = row.has_containers() && !loan.rests();
      if (!spec.reads_committed || (spec.reads_fields && lane_at_it) ||
          loan.HasWaiting(message.ticket)) {
        loan.Wait(WaitingMessage{.command = OwnedCommand::Copy(message)});
        return;
      }
    }
  }
  RunKeyCommand(spec, message.key, message.args, message.ticket);
}

void Shard::Impl::RunKeyCommand(const CommandSpec& spec, const KeyRef& key, Args args,
                                const Ticket& ticket) {
  running_ = &spec;
  size_t begin = effects_->reply_bytes.size();
  KeyTurn turn(shard_, key, ticket, effects_->reply_bytes);
  spec.run_key(turn, args);
  FinishReply(ticket, begin);
}

void Shard::Impl::RunShardCommand(const CommandSpec& spec, Args args, const Ticket& ticket) {
  running_ = &spec;
  size_t begin = effects_->reply_bytes.size();
  ShardTurn turn(shard_, ticket, effects_->reply_bytes);
  spec.run_shard(turn, args);
  FinishReply(ticket, begin);
}

void Shard::Impl::FinishReply(const Ticket& ticket, size_t begin) {
  running_ = nullptr;
  const bool when_durable = std::exchange(reply_when_durable_, false);
  if (waiting_) {
    readers_.Add(*std::exchange(waiting_, std::nullopt));
    effects_->reply_bytes.resize(begin);
    return;
  }
  if (durable_wait_) {
    effects_->durable_waits.push_back(*std::exchange(durable_wait_, std::nullopt));
    effects_->reply_bytes.resize(begin);
    return;
  }
  if (flushing_ != nullptr) {
    std::shared_ptr<PendingFlush> flush = std::move(flushing_);
    flush->ticket = ticket;
    flush->reply = effects_->reply_bytes.substr(begin);
    effects_->reply_bytes.resize(begin);
    return;
  }
  effects_->replies.push_back(
      ReplyRange{ticket, begin, effects_->reply_bytes.size(), when_durable});
}

void Shard::Impl::ReplyTagged(const CommandSpec& spec, const Ticket& ticket,
                              std::string_view tagged) {
  size_t begin = effects_->reply_bytes.size();
  BETTONG_CHECK(spec.encode != nullptr);
  spec.encode(tagged, ticket.resp3, effects_->reply_bytes);
  FinishReply(ticket, begin);
}

void Shard::Impl::RunOwned(std::unique_ptr<OwnedCommand> command) {
  if (command->spec->run_shard != nullptr) {
    RunShardCommand(*command->spec, command->args, command->ticket);
    return;
  }
  Message message;
  message.kind = MessageKind::kCommand;
  message.key = slot_map_.Key(command->storage.back());
  message.command = command->spec;
  message.args = command->args;
  message.ticket = command->ticket;
  message.entity_class = command->entity_class;
  message.entity_command = command->entity_command;
  message.arguments = command->arguments;
  if (command->spec->calls_entity) {
    OnCall(message);
  } else {
    RunKeyCommand(*command->spec, message.key, message.args, message.ticket);
  }
}

// --- waiting readers

void Shard::Impl::WakeReaders() {
  std::vector<std::string> grown;
  grown.swap(grown_streams_);
  for (const std::string& key : grown) {
    for (uint64_t id : readers_.OfKey(key)) {
      std::optional<WaitingReader> reader = readers_.Take(id);
      if (!reader) continue;
      reader_deadline_ms_ = reader->deadline_ms;
      RunOwned(std::move(reader->command));
      reader_deadline_ms_.reset();
    }
  }
}

void Shard::Impl::TimeOutReaders() {
  while (std::optional<WaitingReader> reader = readers_.TakeDue(now_ms_)) {
    size_t begin = effects_->reply_bytes.size();
    effects_->reply_bytes += reader->timeout_reply;
    FinishReply(reader->command->ticket, begin);
  }
}

void Shard::Impl::FlushedOne(PendingFlush& flush) {
  if (--flush.keys_left > 0) return;
  size_t begin = effects_->reply_bytes.size();
  effects_->reply_bytes += flush.reply;
  FinishReply(flush.ticket, begin);
}

void Shard::Impl::FlushAll(const Ticket& ticket) {
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  while (Entry* entry = table_.Next(position, slots)) {
    EntryId id(position - 1);
    if (entry->has(kLent)) {
      if (flushing_ == nullptr) flushing_ = std::make_shared<PendingFlush>();
      ++flushing_->keys_left;
      auto drop = std::make_unique<OwnedCommand>();
      drop->ticket = ticket;
      drop->flush = flushing_;
      LoanOf(entry).Wait(WaitingMessage{.command = std::move(drop)});
      continue;
    }
    Change(slot_map_.Key(entry->key()), ChangeOp::kDelete);
    RemoveEntry(id);
  }
}

}  // namespace bettong::grid
