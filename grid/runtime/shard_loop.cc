#include "grid/runtime/shard_loop.h"

#include <chrono>
#include <thread>

#include "base/check.h"
#include "base/thread_name.h"
#include "grid/dead_letter.h"
#include "grid/runtime/asio_executor.h"
#include "grid/runtime/outbox.h"
#include "grid/runtime/shard_mail.h"

namespace bettong::grid {
ShardLoop::ShardLoop(ShardLoopOptions options)
    : options_(std::move(options)),
      own_executor_(options_.executor == nullptr ? std::make_unique<AsioExecutor>() : nullptr),
      executor_(own_executor_ != nullptr ? own_executor_.get() : options_.executor),
      timer_(executor_->MakeTimer()),
      shard_(options_.shard),
      sources_(1),
      outbox_(std::make_unique<Outbox>(*this)) {
  if (!options_.clock) options_.clock = [this] { return executor_->NowMs(); };
  FindViewOwners();
}

ShardLoop::~ShardLoop() = default;

void ShardLoop::FindViewOwners() {
  view_owners_.clear();
  for (const StreamSchema& stream : catalog().streams) {
    view_owners_.push_back(slot_map().ShardOf(SlotOfKey(stream.name)));
  }
}

void ShardLoop::SetSubscribers(std::unique_ptr<Subscribers> subscribers) {
  subscribers_ = std::move(subscribers);
}

void ShardLoop::SetGate(std::unique_ptr<StreamGate> gate) { gate_ = std::move(gate); }

void ShardLoop::Run() {
  NameThread("shard-" + std::to_string(id().value()));
  own_executor_->Run();
}

void ShardLoop::Stop() { own_executor_->Stop(); }

boost::asio::io_context& ShardLoop::io() { return own_executor_->io(); }

void ShardLoop::Defer(std::function<void()> work) { executor_->Post(std::move(work)); }

// --- mail

void ShardLoop::Post(ShardId to, std::unique_ptr<Mail> mail) {
  ShardLoop& receiver = *shards_[to.value()];
  receiver.mailbox_.Push(std::move(mail));
  if (!receiver.wake_pending_.exchange(true)) {
    receiver.executor_->Post([&receiver] { receiver.DrainMail(); });
  }
}

void ShardLoop::DrainMail() {
  wake_pending_.store(false);
  for (Mail* mail = mailbox_.TakeAll(); mail != nullptr;) {
    std::unique_ptr<Mail> now(std::exchange(mail, PostBox<Mail>::Next(mail)));
    now->Deliver(*this);
  }
}

void ShardLoop::SendCommands(ShardId to, std::span<const Message> commands) {
  Post(to, std::make_unique<CommandMail>(commands));
}

// --- processing

void ShardLoop::Submit(std::span<const Message> batch) {
  if (processing_) {
    for (const Message& message : batch) {
      BETTONG_CHECK(message.kind == MessageKind::kEvents);
      next_events_.push_back(message);
    }
    return;
  }
  processing_ = true;
  effects_.Clear();
  shard_.Process(batch, now_ms(), effects_);
  Dispatch();
  while (!next_events_.empty() || !next_emits_.empty()) ProcessNext();
  GiveBackLargeBuffers();
  processing_ = false;
  if (log_ != nullptr) log_->Commit();
  NoteMemory();
  ArmTimer();
}

void ShardLoop::ProcessNext() {
  std::vector<Message> messages = std::exchange(next_events_, {});
  std::vector<ViewEntry> emits = std::exchange(next_emits_, {});
  std::vector<Credit> emitted;
  for (const ViewEntry& entry : emits) {
    Message& message = messages.emplace_back();
    message.kind = MessageKind::kEmit;
    message.view = &entry;
    AddCredit(emitted, entry.origin.source, -1);
  }
  effects_.Clear();
  shard_.Process(messages, now_ms(), effects_);
  Dispatch();
  ReturnCredits(emitted);
}

void ShardLoop::Emit(std::vector<ViewEntry> entries) {
  std::vector<Credit> added;
  for (const ViewEntry& entry : entries) AddCredit(added, entry.origin.source, +1);
  SendCredits(added);
  std::move(entries.begin(), entries.end(), std::back_inserter(next_emits_));
  if (!processing_) Submit({});
}

void ShardLoop::ArmTimer() {
  TimeMs wake_ms = shard_.NextWake();
  if (wake_ms == kNeverExpires) return;
  TimeMs now = now_ms();
  if (wake_ms <= now) {
    // More is due than one slice took: go on after what has arrived meanwhile.
    if (continue_posted_) return;
    continue_posted_ = true;
    executor_->Post([this] {
      continue_posted_ = false;
      Submit({});
      // A command for the other shard must not wait for a time slice where shards share a core.
      if (continue_posted_) std::this_thread::yield();
    });
    return;
  }
  if (timer_armed_ms_ <= wake_ms) return;
  timer_armed_ms_ = wake_ms;
  // An hour at most: far deadlines do not fit a timer, and the wall clock may be set.
  constexpr TimeMs kTimerMax = 3'600'000;
  timer_->Arm(std::chrono::milliseconds(std::min(wake_ms - now, kTimerMax)), [this] {
    timer_armed_ms_ = kNeverExpires;
    Submit({});
  });
}

// One batch of large replies must not hold their memory for good.
void ShardLoop::GiveBackLargeBuffers() {
  for (std::string* bytes : {&effects_.reply_bytes, &effects_.output_bytes}) {
    if (bytes->capacity() > kEffectsBytesKeptMax) std::string().swap(*bytes);
  }
}

void ShardLoop::Dispatch() {
  for (;;) {
    if (options_.replies_when_durable) {
      for (ReplyRange& reply : effects_.replies) reply.when_durable = true;
    }
    // Events whose keys are found count before those that asked for them are reported complete.
    for (const KeyedEvent& event : effects_.keyed_events) gate_->RouteKeyed(event);
    if (effects_.keys_done > 0) {
      gate_->OnKeysDone(effects_.keys_done);
      gate_->Flush();
    }
    if (log_ == nullptr || !log_->Hold(effects_)) {
      Release(effects_);
    } else if (!effects_.replies.empty()) {
      DispatchReplies(effects_, false);
    }
    for (const DurableWait& wait : effects_.durable_waits) {
      BETTONG_CHECK(log_ != nullptr);
      log_->Wait(wait);
    }
    metrics_.RecordCompleted(effects_.completed);
    for (EventBatch* batch : effects_.completed) delete batch;
    if (effects_.loans.empty()) return;
    if (options_.inline_host == nullptr) {
      size_t size = effects_.loans.size();
      metrics_.loans_sent.Add(size);
      options_.lane->Send(id(), std::move(effects_.loans));
      effects_.loans = {};
      effects_.loans.reserve(size);
      return;
    }
    std::vector<Loan> loans;
    loans.swap(effects_.loans);
    inline_results_.Clear();
    for (std::span<const Loan> left = loans; !left.empty();) {
      left = left.subspan(options_.inline_host->RunBatch(left, inline_results_));
    }
    Message message;
    message.kind = MessageKind::kLoanResults;
    message.results = &inline_results_;
    effects_.Clear();
    shard_.Process({&message, 1}, now_ms(), effects_);
  }
}

void ShardLoop::Release(Effects& effects) {
  const bool inside = std::exchange(processing_, true);
  if (!effects.outputs.empty() || !effects.stream_inputs.empty()) DispatchOutputs(effects);
  if (!effects.replies.empty()) {
    DispatchReplies(effects, true);
    DispatchReplies(effects, false);
  }
  if (!effects.notifications.empty()) DispatchNotifications(effects);
  if (!effects.credits.empty()) SendCredits(effects.credits);
  effects.credits.clear();
  if (inside) return;
  // Events for this shard that the outputs have become.
  while (!next_events_.empty() || !next_emits_.empty()) ProcessNext();
  processing_ = false;
}

// --- the log

void ShardLoop::SetLog(ShardLogOptions options) {
  log_ = std::make_unique<ShardLog>(*this, shard_, *executor_, options);
  log_->Start();
}

void ShardLoop::SetRecovered(RecoveredOutbox recovered) {
  if (recovered.outputs.empty() && recovered.inputs.empty()) {
    // Deadlines came back, which nobody else may ever wake this shard for.
    Defer([this] { Submit({}); });
    return;
  }
  // In the outbox from now on: a round of the checkpoint may end before it is sent.
  OutboxBatch& batch = outbox_->Add(std::move(recovered.bytes), std::move(recovered.outputs),
                                    std::move(recovered.inputs));
  Defer([this, &batch] {
    processing_ = true;
    SendBatch(batch);
    while (!next_events_.empty() || !next_emits_.empty()) ProcessNext();
    processing_ = false;
    Submit({});
  });
}

void ShardLoop::ReturnCredits(std::span<const Credit> credits) {
  if (credits.empty()) return;
  if (log_ == nullptr || !log_->HoldCredits(credits)) SendCredits(credits);
}

void ShardLoop::SetEndpoint(Slot home, std::string_view name, std::string_view state,
                            std::span<const Credit> credits) {
  shard_.SetEndpoint(home, name, state);
  ReturnCredits(credits);
  if (!processing_ && log_ != nullptr) log_->Commit();
}

void ShardLoop::SetDiskFull(bool full) {
  shard_.set_read_only(full);
  if (options_.disk_full) options_.disk_full(full);
  if (!full) Submit({});
}

void ShardLoop::LogFailed(const absl::Status& status) {
  if (options_.log_failed) options_.log_failed(status);
}

// --- outputs

// With a log what is emitted lies in the outbox until everyone has it, and its consequences report
// there. Without one they report to the source of the event.
void ShardLoop::DispatchOutputs(Effects& effects) {
  if (log_ == nullptr) {
    SendOutputs(effects.outputs, effects.stream_inputs, effects.output_bytes,
                [this](const auto& emitted) {
                  if constexpr (std::is_same_v<decltype(emitted), const Output&>) {
                    return Origin{.source = emitted.origin};
                  } else {
                    return Origin{.source = SourceRef{id(), SourceId(0)}};
                  }
                });
    return;
  }
  OutboxBatch& batch =
      outbox_->Add(std::exchange(effects.output_bytes, {}), std::exchange(effects.outputs, {}),
                   std::exchange(effects.stream_inputs, {}));
  SendBatch(batch);
}

void ShardLoop::SendBatch(OutboxBatch& batch) {
  SendOutputs(batch.outputs, batch.inputs, batch.bytes, [&](const auto& emitted) {
    return Origin{.source = batch.span,
                  .channel = OutboxChannel(emitted.partition),
                  .position = emitted.sequence,
                  .low_water = shard_.confirmed(emitted.partition) + 1};
  });
  outbox_->Sent(batch);
}

template <typename OriginOf>
void ShardLoop::SendOutputs(std::span<const Output> outputs, std::span<const StreamInput> inputs,
                            std::string_view bytes, const OriginOf& origin_of) {
  std::vector<Credit> added;
  std::vector<std::unique_ptr<ViewMail>> views(shards_.size());
  sink_items_.clear();
  const Catalog& catalog = this->catalog();
  auto text = [&](const auto& emitted) {
    return bytes.substr(emitted.begin, emitted.end - emitted.begin);
  };
  for (const Output& output : outputs) {
    const StreamSchema& stream = catalog.streams[output.stream.value()];
    const Origin origin = origin_of(output);
    if (stream.view_entries_max > 0) {
      auto& mail = views[view_owners_[output.stream.value()].value()];
      if (mail == nullptr) mail = std::make_unique<ViewMail>();
      mail->Add(ViewEntry{output.stream, std::string(text(output)), origin});
      AddCredit(added, origin.source, +1);
    }
    const size_t sinks = options_.sinks == nullptr ? 0 : options_.sinks->SinksOf(output.stream);
    if (sinks > 0) {
      sink_items_.push_back(
          SinkItem{output.stream, output.partition, output.sequence, origin.source, text(output)});
      AddWriteCredit(added, origin.source, static_cast<int32_t>(sinks));
    }
  }
  // The sources learn of the consequences before anybody can report them complete.
  if (!added.empty()) SendCredits(added);
  for (size_t shard = 0; shard < views.size(); ++shard) {
    if (views[shard] != nullptr)
      Post(ShardId(static_cast<uint16_t>(shard)), std::move(views[shard]));
  }
  if (!sink_items_.empty()) options_.sinks->Write(id(), sink_items_);
  for (const Output& output : outputs) {
    const StreamSchema& stream = catalog.streams[output.stream.value()];
    Publish(stream.name, text(output));
    if (catalog.HasHandlers(output.stream) && gate_ != nullptr) {
      if (output.stream == catalog.dead_letters && IsLetterOfALetter(text(output))) continue;
      gate_->RouteJson(output.stream, text(output), origin_of(output));
    }
  }
  for (const StreamInput& input : inputs) {
    gate_->RouteFields(input.stream, text(input), input.id, origin_of(input));
  }
  if (gate_ != nullptr) gate_->Flush();
  SendPublished();
}

void ShardLoop::Publish(std::string_view channel, std::string_view payload) {
  for (ShardLoop* shard : shards_) {
    if (shard->subscribers_ == nullptr || shard->subscribers_->count() == 0) continue;
    if (shard == this) {
      subscribers_->Publish(channel, payload);
      continue;
    }
    published_.resize(shards_.size());
    auto& mail = published_[shard->id().value()];
    if (mail == nullptr) mail = std::make_unique<PublishMail>();
    mail->Add(channel, payload);
  }
}

void ShardLoop::SendPublished() {
  for (size_t shard = 0; shard < published_.size(); ++shard) {
    if (published_[shard] == nullptr) continue;
    Post(ShardId(static_cast<uint16_t>(shard)), std::move(published_[shard]));
  }
  if (subscribers_ != nullptr) subscribers_->Flush();
}

void ShardLoop::DispatchNotifications(const Effects& effects) {
  const std::string_view bytes = effects.notification_bytes;
  for (const Notification& notification : effects.notifications) {
    Publish(bytes.substr(notification.channel_begin,
                         notification.channel_end - notification.channel_begin),
            bytes.substr(notification.channel_end,
                         notification.payload_end - notification.channel_end));
  }
  SendPublished();
}

// --- replies

ConnectionId ShardLoop::AddReplySink(ReplySink* sink) {
  uint32_t index;
  if (free_reply_sinks_.empty()) {
    index = static_cast<uint32_t>(reply_sinks_.size());
    reply_sinks_.push_back(nullptr);
    reply_sink_generations_.push_back(0);
  } else {
    index = free_reply_sinks_.back();
    free_reply_sinks_.pop_back();
  }
  reply_sinks_[index] = sink;
  return ConnectionId(uint64_t{++reply_sink_generations_[index]} << 32 | index);
}

void ShardLoop::RemoveReplySink(ConnectionId id) {
  auto index = static_cast<uint32_t>(id.value());
  if (reply_sink_generations_[index] != id.value() >> 32) return;
  reply_sinks_[index] = nullptr;
  ++reply_sink_generations_[index];
  free_reply_sinks_.push_back(index);
}

void ShardLoop::DeliverReply(const Ticket& ticket, std::string_view bytes) {
  auto index = static_cast<uint32_t>(ticket.connection.value());
  if (index >= reply_sinks_.size() ||
      reply_sink_generations_[index] != ticket.connection.value() >> 32) {
    return;  // the connection is gone
  }
  reply_sinks_[index]->Reply(ticket, bytes);
  if (touched_.empty() || touched_.back() != ticket.connection)
    touched_.push_back(ticket.connection);
}

void ShardLoop::FlushReplies() {
  for (size_t i = 0; i < touched_.size(); ++i) {
    auto index = static_cast<uint32_t>(touched_[i].value());
    if (reply_sink_generations_[index] == touched_[i].value() >> 32) reply_sinks_[index]->Flush();
  }
  touched_.clear();
}

void ShardLoop::DispatchReplies(const Effects& effects, bool when_durable) {
  std::vector<std::unique_ptr<ReplyMail>> mails;
  for (const ReplyRange& reply : effects.replies) {
    if (reply.when_durable != when_durable) continue;
    std::string_view bytes =
        std::string_view(effects.reply_bytes).substr(reply.begin, reply.end - reply.begin);
    if (reply.ticket.home == id()) {
      DeliverReply(reply.ticket, bytes);
      continue;
    }
    mails.resize(shards_.size());
    auto& mail = mails[reply.ticket.home.value()];
    if (mail == nullptr) mail = std::make_unique<ReplyMail>();
    mail->Add(reply.ticket, bytes);
  }
  for (size_t shard = 0; shard < mails.size(); ++shard) {
    if (mails[shard] != nullptr)
      Post(ShardId(static_cast<uint16_t>(shard)), std::move(mails[shard]));
  }
  FlushReplies();
}

// --- sources

SourceRef ShardLoop::AddSource(SourceControl* control, std::atomic<int64_t>* outstanding) {
  uint32_t index;
  if (free_sources_.empty()) {
    index = static_cast<uint32_t>(sources_.size());
    sources_.emplace_back();
  } else {
    index = free_sources_.back();
    free_sources_.pop_back();
  }
  sources_[index] = Source{.control = control, .published = outstanding};
  return SourceRef{id(), SourceId(index)};
}

void ShardLoop::RemoveSource(SourceRef source) {
  Source& slot = sources_[source.source.value()];
  slot.control = nullptr;
  if (slot.published != nullptr) {
    std::exchange(slot.published, nullptr)->fetch_sub(slot.work, std::memory_order_relaxed);
  }
  // The number is used again only when nothing in the node can still report to it.
  if (slot.outstanding() == 0) free_sources_.push_back(source.source.value());
}

void ShardLoop::ApplyCredit(const Credit& credit) {
  uint32_t index = credit.source.source.value();
  Source& source = sources_[index];
  source.work += credit.delta;
  if (source.published != nullptr) {
    source.published->fetch_add(credit.delta, std::memory_order_relaxed);
  }
  source.writes += credit.writes;
  BETTONG_CHECK(source.work >= 0 && source.writes >= 0);
  if (source.control != nullptr) {
    if (credit.delta < 0 || credit.writes < 0) source.control->OnCredit();
  } else if (index != 0 && source.outstanding() == 0) {
    free_sources_.push_back(index);
  }
}

void ShardLoop::SendCredits(std::span<const Credit> credits) {
  std::vector<std::unique_ptr<CreditMail>> mails;
  for (const Credit& credit : credits) {
    if (credit.source.home == id()) {
      ApplyCredit(credit);
      continue;
    }
    mails.resize(shards_.size());
    auto& mail = mails[credit.source.home.value()];
    if (mail == nullptr) mail = std::make_unique<CreditMail>();
    mail->Add(credit);
  }
  for (size_t shard = 0; shard < mails.size(); ++shard) {
    if (mails[shard] != nullptr)
      Post(ShardId(static_cast<uint16_t>(shard)), std::move(mails[shard]));
  }
}

// --- another catalog

void ShardLoop::SetHeld(bool held) {
  held_ = held;
  shard_.SetHeld(held);
  if (gate_ != nullptr) gate_->SetHeld(held);
  if (!held) Submit({});  // what has come due meanwhile
}

void ShardLoop::SetCatalog(const Catalog& next, std::span<const MigratedRow> migrated) {
  BETTONG_CHECK(held_ && !processing_);
  shard_.SetCatalog(next, migrated);
  FindViewOwners();
  if (gate_ != nullptr) gate_->OnCatalogChanged();
  if (log_ != nullptr) log_->Commit();
  NoteMemory();
}

void ShardLoop::SetMaxMemory(uint64_t bytes) {
  shard_.set_maxmemory_bytes(bytes);
  NoteMemory();
}

void ShardLoop::NoteMemory() {
  const bool over = shard_.over_memory();
  if (over != over_memory_.load(std::memory_order_relaxed))
    over_memory_.store(over, std::memory_order_relaxed);
}

bool ShardLoop::OverMemory() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const ShardLoop* shard) {
    return shard->over_memory_.load(std::memory_order_relaxed);
  });
}

bool ShardLoop::OutboxFull() const {
  return std::any_of(shards_.begin(), shards_.end(), [this](const ShardLoop* shard) {
    return shard->outbox_->bytes() > kOutboxBytesMax ||
           (options_.sinks != nullptr &&
            options_.sinks->BytesPending(shard->id()) > kOutboxBytesMax);
  });
}

bool ShardLoop::LogFull() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const ShardLoop* shard) {
    return shard->log_ != nullptr && shard->log_->full();
  });
}

bool ShardLoop::LogBehind() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const ShardLoop* shard) {
    return shard->log_ != nullptr && shard->log_->behind();
  });
}

bool ShardLoop::Idle() const {
  if (log_ != nullptr && !log_->idle()) return false;
  if (shard_.stats().loans_outstanding > 0 || !mailbox_.empty()) return false;
  for (const Source& source : sources_) {
    if (source.outstanding() > 0) return false;
  }
  return shard_.NextWake() > now_ms();
}

}  // namespace bettong::grid
