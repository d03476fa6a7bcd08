// Drives one shard on one thread: runs the Asio loop, hands batches to the core, and carries out
// the effects (replies, outputs, loans, mail to other shards). Everything here is called on the
// shard's own thread except Post and the constructor.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/compute_host.h"
#include "grid/effects.h"
#include "grid/message.h"
#include "grid/runtime/executor.h"
#include "grid/runtime/loan_taker.h"
#include "grid/runtime/mail.h"
#include "grid/runtime/runtime_metrics.h"
#include "grid/runtime/shard_log.h"
#include "grid/shard.h"
#include "grid/slot_map.h"

namespace bettong::grid {

class AsioExecutor;
class Outbox;
class OutboxBatch;

// More capacity than this is given back once the effects are carried out.
inline constexpr size_t kEffectsBytesKeptMax = 4u << 20;
// A shard stops admitting events while its outputs wait for a sink with so many bytes.
inline constexpr size_t kOutboxBytesMax = 64u << 20;

// Takes the replies of one connection. Parts and sequences may arrive in any order.
class ReplySink {
 public:
  virtual void Reply(const Ticket& ticket, std::string_view bytes) = 0;
  // All replies of a batch have been given: time to write.
  virtual void Flush() = 0;

 protected:
  ~ReplySink() = default;
};

// This shard's subscribers.
class Subscribers {
 public:
  virtual ~Subscribers() = default;
  // Answers how many connections of this shard got the message.
  virtual size_t Publish(std::string_view channel, std::string_view payload) = 0;
  // Everything of a batch has been published: time to write.
  virtual void Flush() = 0;
  // Subscriptions of this shard's connections, patterns included. Read from any thread.
  virtual size_t count() const = 0;
};

// One input channel (a connection, a file): told when consequences of its events are complete.
class SourceControl {
 public:
  virtual void OnCredit() = 0;

 protected:
  ~SourceControl() = default;
};

struct SinkItem {
  StreamId stream;
  PartitionId partition;
  uint64_t sequence = 0;
  SourceRef origin;
  std::string_view json;  // good during Write
};

// Carries streams' outputs to the outside, on a thread of its own.
class SinkSet {
 public:
  virtual ~SinkSet() = default;
  // How many sinks take the stream.
  virtual size_t SinksOf(StreamId stream) const = 0;
  // Copies what it keeps. Each sink reports -1 credit per item to the origin's home shard when the
  // item is written.
  virtual void Write(ShardId from, std::span<const SinkItem> items) = 0;
  // Bytes taken from `from` and not written yet. From any thread.
  virtual size_t BytesPending(ShardId from) const = 0;
};

// Decodes events for streams and routes them to the handlers' shards; one per shard
// (ingest/gate.h). Each adds what it sends to the origin's outstanding count before it sends it.
class StreamGate {
 public:
  virtual ~StreamGate() = default;
  // An event emitted by a computation into a stream with handlers. JSON text.
  virtual void RouteJson(StreamId stream, std::string_view json, const Origin& origin) = 0;
  // An entry added by a client: StreamEntryForm::kFields.
  virtual void RouteFields(StreamId stream, std::string_view fields_payload, StreamEntryId id,
                           const Origin& origin) = 0;
  // An event whose key a function computed.
  virtual void RouteKeyed(const KeyedEvent& event) = 0;
  // So many key functions have run on this shard since the last call, in the order their events
  // came; their events have been given to RouteKeyed.
  virtual void OnKeysDone(uint64_t count) = 0;
  // What comes from RouteJson and RouteFields is kept, and routed when that is over. Not while the
  // shard carries out effects, like the next.
  virtual void SetHeld(bool held) = 0;
  // The shard has another catalog; while held.
  virtual void OnCatalogChanged() = 0;
  // Sends what has been gathered to the shards; called at the end of each batch's dispatch.
  virtual void Flush() = 0;
};

struct ShardLoopOptions {
  ShardOptions shard;
  LoanTaker* lane = nullptr;           // where loans go; or
  ComputeHost* inline_host = nullptr;  // a host that runs them here
  SinkSet* sinks = nullptr;
  Executor* executor = nullptr;       // one of Asio's by default
  std::function<TimeMs()> clock;      // wall clock; the executor's by default
  bool replies_when_durable = false;  // durability "sync"
  // The log can never be written again; the shard takes nothing any more.
  std::function<void(const absl::Status&)> log_failed;
  // The log's disk is full, or not any more: writes are refused meanwhile.
  std::function<void(bool)> disk_full;
};

class ShardLoop {
 public:
  explicit ShardLoop(ShardLoopOptions options);
  ~ShardLoop();
  ShardLoop(const ShardLoop&) = delete;
  ShardLoop& operator=(const ShardLoop&) = delete;

  // All shards of the node by ShardId, this one included. Before Run.
  void SetShards(std::vector<ShardLoop*> shards) { shards_ = std::move(shards); }
  void SetSubscribers(std::unique_ptr<Subscribers> subscribers);
  void SetGate(std::unique_ptr<StreamGate> gate);

  // From here on what is recorded goes to the log, and what it causes waits for that. After
  // recovery, before Run; the log is started.
  void SetLog(ShardLogOptions options);
  // What an earlier process had not sent to everyone it was for. Before Run, after SetLog; it is
  // sent when the shard runs.
  void SetRecovered(RecoveredOutbox outbox);

  // Before Run.
  void SetSinks(SinkSet* sinks) { options_.sinks = sinks; }

  // Runs until Stop, on the calling thread. Only with an executor of its own.
  void Run();
  void Stop();  // from any thread

  ShardId id() const { return options_.shard.id; }
  size_t shard_count() const { return shards_.size(); }
  ShardLoop& other(ShardId id) { return *shards_[id.value()]; }
  boost::asio::io_context& io();  // only with an executor of its own
  Executor& executor() { return *executor_; }
  Shard& shard() { return shard_; }
  const SlotMap& slot_map() const { return *options_.shard.slot_map; }
  const Catalog& catalog() const { return shard_.catalog(); }  // on this shard's thread
  Subscribers* subscribers() { return subscribers_.get(); }
  StreamGate* gate() { return gate_.get(); }
  SinkSet* sinks() { return options_.sinks; }
  TimeMs now_ms() const { return options_.clock(); }
  const LoopMetrics& metrics() const { return metrics_; }

  // Processes the messages now and carries out their effects. While effects are being carried out
  // (inside Reply, Publish, gate calls) only event batches may be submitted; they come next.
  void Submit(std::span<const Message> batch);
  // Outputs that no computation made (dead letters). They go where outputs go, now or, while
  // effects are being carried out, next.
  void Emit(std::vector<ViewEntry> entries);
  // Carries out what was held back, or need not be. Only for the shard's log.
  void Release(Effects& effects);
  // Credits of what has been done up to now: they leave when it is durable.
  void ReturnCredits(std::span<const Credit> credits);
  Outbox& outbox() { return *outbox_; }
  ShardLog* log() { return log_.get(); }  // null: nothing is logged
  const ShardLog* log() const { return log_.get(); }
  // The log's disk is full, or not any more: writes are refused meanwhile.
  void SetDiskFull(bool full);
  void LogFailed(const absl::Status& status);  // from any thread
  // The state of a source or a sink; the credits leave when it is durable.
  void SetEndpoint(Slot home, std::string_view name, std::string_view state,
                   std::span<const Credit> credits);

  // Commands for another shard: copied, sent as one mail.
  void SendCommands(ShardId to, std::span<const Message> commands);
  // Runs `work` on this shard's thread after the current handler.
  void Defer(std::function<void()> work);

  // To another shard, or this one. From any thread.
  void Post(ShardId to, std::unique_ptr<Mail> mail);

  // Connections that replies may be addressed to.
  ConnectionId AddReplySink(ReplySink* sink);
  void RemoveReplySink(ConnectionId id);

  // Input channels.
  // `outstanding`, if given, is kept up to date with the work of all sources that share it,
  // until RemoveSource.
  SourceRef AddSource(SourceControl* control, std::atomic<int64_t>* outstanding = nullptr);
  void RemoveSource(SourceRef source);
  // What is still to do because of it, sinks' writes included.
  int64_t Outstanding(SourceRef source) const {
    return sources_[source.source.value()].outstanding();
  }
  // Without what sinks have still to write.
  int64_t WorkOutstanding(SourceRef source) const { return sources_[source.source.value()].work; }
  // Each credit goes to its source's home. In order with other mail from here.
  void SendCredits(std::span<const Credit> credits);

  // While another catalog is on its way nothing asks for turns of the app's code: sources and
  // sessions look here, the gate keeps what is emitted, and what comes due waits.
  bool held() const { return held_; }
  void SetHeld(bool held);
  // Only while held, and when the shard is quiet.
  void SetCatalog(const Catalog& next, std::span<const MigratedRow> migrated = {});

  void SetMaxMemory(uint64_t bytes);  // this shard's share; 0: no limit

  // Sources stop reading while any shard of the node is over its memory limit or its outbox is
  // full, and look again after a while.
  bool OverMemory() const;
  bool OutboxFull() const;
  bool LogFull() const;    // a disk is
  bool LogBehind() const;  // too much is not durable yet
  bool AdmissionOpen() const {
    return !held_ && !OverMemory() && !OutboxFull() && !LogFull() && !LogBehind();
  }

  // Of the buffers of replies and outputs, between batches.
  size_t effects_capacity_bytes() const {
    return effects_.reply_bytes.capacity() + effects_.output_bytes.capacity();
  }

  // Nothing is lent, no source has anything outstanding, nothing due is waiting for its slice.
  bool Idle() const;

 private:
  class CommandMail;
  class ReplyMail;
  class PublishMail;
  class CreditMail;
  class ViewMail;

  struct Source {
    SourceControl* control = nullptr;
    std::atomic<int64_t>* published = nullptr;  // the sum of `work` of some
    int64_t work = 0;
    int64_t writes = 0;
    int64_t outstanding() const { return work + writes; }
  };

  void FindViewOwners();
  void DrainMail();
  void ProcessNext();
  void Dispatch();
  void DispatchOutputs(Effects& effects);
  void SendBatch(OutboxBatch& batch);
  // Of one batch: `origin_of(output)` is what its consequences carry.
  template <typename OriginOf>
  void SendOutputs(std::span<const Output> outputs, std::span<const StreamInput> inputs,
                   std::string_view bytes, const OriginOf& origin_of);
  void DispatchReplies(const Effects& effects, bool when_durable);
  void DispatchNotifications(const Effects& effects);
  // Publishes to subscribers on all shards: gathered until SendPublished.
  void Publish(std::string_view channel, std::string_view payload);
  void SendPublished();
  void GiveBackLargeBuffers();
  void DeliverReply(const Ticket& ticket, std::string_view bytes);
  void FlushReplies();
  void ApplyCredit(const Credit& credit);
  void ArmTimer();
  void NoteMemory();

  ShardLoopOptions options_;
  std::unique_ptr<AsioExecutor> own_executor_;
  Executor* executor_;
  std::unique_ptr<Executor::Timer> timer_;
  TimeMs timer_armed_ms_ = kNeverExpires;
  bool continue_posted_ = false;
  Shard shard_;
  std::vector<ShardLoop*> shards_;

  PostBox<Mail> mailbox_;
  std::atomic<bool> wake_pending_{false};
  std::atomic<bool> over_memory_{false};  // read by all shards, written by this one

  bool processing_ = false;
  bool held_ = false;
  Effects effects_;
  std::vector<Message> next_events_;  // submitted while processing
  std::vector<ViewEntry> next_emits_;
  LoanResults inline_results_;

  std::vector<ReplySink*> reply_sinks_;
  std::vector<uint32_t> reply_sink_generations_;
  std::vector<uint32_t> free_reply_sinks_;
  std::vector<ConnectionId> touched_;  // connections with replies since the last flush

  std::vector<Source> sources_;  // [0]: the shard itself
  std::vector<uint32_t> free_sources_;

  std::unique_ptr<Subscribers> subscribers_;
  std::vector<std::unique_ptr<PublishMail>> published_;  // by shard; null: nothing for it
  std::vector<ShardId> view_owners_;                     // by StreamId
  std::unique_ptr<StreamGate> gate_;
  std::vector<SinkItem> sink_items_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<ShardLog> log_;
  LoopMetrics metrics_;
};

}  // namespace bettong::grid
