// Drives one shard on one thread: runs the Asio loop, hands batches to the core, and carries out
// the effects (replies, outputs, loans, mail to other shards). Everything here is called on the
// shard's own thread except Post, which any thread may call.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/effects.h"
#include "grid/message.h"
#include "grid/runtime/mail.h"
#include "grid/shard.h"
#include "grid/slot_map.h"

namespace bettong::grid {

// Takes the replies of one connection. Parts and sequences may arrive in any order.
class ReplySink {
 public:
  virtual void Reply(const Ticket& ticket, std::string_view bytes) = 0;
  // All replies of a batch have been given: time to write.
  virtual void Flush() = 0;

 protected:
  ~ReplySink() = default;
};

// Takes messages published to a channel, on every shard that has subscribers.
class Subscribers {
 public:
  virtual ~Subscribers() = default;
  virtual size_t Publish(std::string_view channel, std::string_view payload) = 0;  // receivers here
  virtual size_t count() const = 0;  // subscriptions of this shard's connections, patterns included
};

// One input channel (a connection, a file): told when consequences of its events are complete.
class SourceControl {
 public:
  virtual void OnCredit(int64_t outstanding) = 0;

 protected:
  ~SourceControl() = default;
};

// Carries a stream's outputs to the outside. Owned and run by its own thread; Write is called by
// shards with everything a batch emitted to the stream, and credits go back when it is written.
struct SinkItem {
  StreamId stream;
  PartitionId partition;
  uint64_t sequence;
  SourceRef origin;
  std::string_view json;  // good during Write
};
class SinkSet {
 public:
  virtual ~SinkSet() = default;
  virtual bool Takes(StreamId stream) const = 0;
  // Copies what it keeps. Reports `-1` credit per item to the origin's shard when it is written.
  virtual void Write(ShardId from, std::span<const SinkItem> items) = 0;
  // Bytes taken from `from` and not written yet; admission stops above the outbox limit.
  virtual size_t BytesPending(ShardId from) const = 0;
};

// Decodes events for streams and routes them to the handlers' shards; one per shard (ingest/gate.h).
class StreamGate {
 public:
  virtual ~StreamGate() = default;
  // An event emitted by a computation into a stream with handlers. JSON text.
  virtual void RouteJson(StreamId stream, std::string_view json, SourceRef origin) = 0;
  // An entry added by a client: field-value pairs as text.
  virtual void RouteFields(StreamId stream, std::string_view fields_payload, StreamEntryId id,
                           SourceRef origin) = 0;
  // An event whose key a function computed.
  virtual void RouteKeyed(const KeyedEvent& event) = 0;
  // Sends what has been gathered to the shards; called at the end of each batch's dispatch.
  virtual void Flush() = 0;
};

class ShardLoop {
 public:
  // ... construction by ShardSet

  ShardId id() const;
  boost::asio::io_context& io();
  Shard& shard();
  const SlotMap& slot_map() const;
  const Catalog& catalog() const;
  TimeMs now_ms();  // the loop's wall clock

  // Processes the messages now and carries out their effects. Not reentrant: from inside Deliver,
  // Reply or OnCredit use Defer.
  void Submit(std::span<const Message> batch);
  // Runs `work` on this shard's thread after the current handler.
  void Defer(std::function<void()> work);

  // To another shard (or this one), from any shard's thread.
  void Post(ShardId to, std::unique_ptr<Mail> mail);

  // Connections that replies may be addressed to.
  ConnectionId AddReplySink(ReplySink* sink);
  void RemoveReplySink(ConnectionId id);

  // Input channels.
  SourceRef AddSource(SourceControl* control);
  void RemoveSource(SourceRef source);
  void AddOutstanding(SourceRef source, int64_t count);  // `source` has this shard as home
  int64_t Outstanding(SourceRef source) const;
  // Admission is closed: sources and clients stop reading until it opens (over memory, full outbox).
  bool AdmissionOpen() const;

  void SetSubscribers(std::unique_ptr<Subscribers> subscribers);
  void SetGate(std::unique_ptr<StreamGate> gate);
  Subscribers& subscribers();
  StreamGate& gate();
};

}  // namespace bettong::grid
