// The door that events come in through, one per shard: decodes them, finds the handlers and keys
// they are for, and sends them to the shards of those keys. What sources read, what clients add and
// what computations emit all pass here; what cannot be decoded or routed becomes a dead letter.
//
// Owned by its ShardLoop, on that shard's thread. A caller routes any number of events and flushes.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/byte_buffer.h"
#include "base/ids.h"
#include "base/key_hash.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/client_inputs.h"
#include "ingest/config.h"
#include "ingest/dead_letters.h"
#include "ingest/event_outbox.h"
#include "ingest/frame_reader.h"
#include "ingest/input_channel.h"
#include "ingest/json_document.h"
#include "ingest/line_reader.h"
#include "ingest/stream_route.h"
#include "ingest/too_old_events.h"

namespace bettong::ingest {

struct GateOptions {
  // What clients add and computations emit holds a stream's watermark for so long; 0: for good
  // (bounded input), until LeaveClientInputs.
  int64_t client_idle_ms = kClientIdleMsDefault;
  // Takes note of events older than their streams' max_age, which are dropped. Null: any age is
  // taken.
  TooOldEvents* too_old = nullptr;
  LogLine log;
};

class Gate : public grid::StreamGate {
 public:
  Gate(grid::ShardLoop& shard, GateOptions options);
  ~Gate() override;

  // For sources. A frame is one event, or a complaint about one.
  void RouteFrame(InputChannel& channel, const Frame& frame);
  // After a read's frames: sends them, the channel's event time behind them.
  void EndRead(InputChannel& channel);
  // Of a source whose events are sent again after a crash, EndRead in two steps. The first sends
  // the events; the channel holds its stream's watermark from then on.
  void SendRead(InputChannel& channel);
  // Whether event time matters to anybody who takes the stream's events.
  bool UsesWatermark(StreamId stream) { return RouteOf(stream).uses_watermark; }
  // The channel holds its stream's watermark before its first event.
  void Join(InputChannel& channel);
  // Of all that the channel has sent up to this event time the effects are durable. An event that
  // comes again must find the watermark no further than it was: it is told, and logged, only now.
  // True: the own shard, too, will know after the current handler.
  bool Announce(InputChannel& channel, TimeMs done_ms);
  // The channel no longer holds its stream's watermark: it is idle, or at its end, and then nothing
  // late is waited for. Flushes.
  void Leave(InputChannel& channel, bool at_end);

  // For the shard, while it carries out effects. What clients add is as old as it was when it was
  // added, however often it comes.
  void RouteJson(StreamId stream, std::string_view json, const grid::Origin& origin) override;
  void RouteFields(StreamId stream, std::string_view fields_payload, grid::StreamEntryId id,
                   const grid::Origin& origin) override;
  void RouteKeyed(const grid::KeyedEvent& event) override;
  void OnKeysDone(uint64_t count) override;
  void SetHeld(bool held) override;
  void OnCatalogChanged() override;
  void Flush() override;

  // At the end of bounded input: what clients and computations fed no longer holds watermarks.
  void LeaveClientInputs();

  // Events admitted to the node here: frames of sources and entries of clients, decoded or
  // dead-lettered, each once. Not what computations emit. From any thread, as of the last flush.
  uint64_t admitted() const { return admitted_published_.load(std::memory_order_relaxed); }

  // Of the stream's events decoded here, those older than its watermark.
  uint64_t late(StreamId stream) const { return late_[stream.value()]; }

  // Events decoded here, of any origin, and dead letters written here.
  uint64_t events() const { return events_; }
  uint64_t dead_letters() const { return dead_letter_count_; }

 private:
  // A note that waits for the keys of the events before it.
  struct HeldNote {
    uint64_t after_keys = 0;  // of keys_asked_
    grid::WatermarkNote note;
  };

  // What came while another catalog was on its way; its origin has a credit for it.
  struct HeldInput {
    StreamId stream;
    bool is_fields = false;  // else JSON
    grid::StreamEntryId id;  // of fields
    std::string text;
    grid::Origin origin;
  };

  void Keep(HeldInput input);
  void DeriveFromCatalog();
  // The event at hand.
  grid::EventRecord& record() { return *reinterpret_cast<grid::EventRecord*>(record_.data()); }
  void Stamp(StreamRoute& route, grid::SourceRef partition, TimeMs seen_ms);
  void SeeClientInput(StreamRoute& route);
  grid::WatermarkNote Lagging(grid::WatermarkNote note);
  StreamRoute& RouteOf(StreamId stream) {
    StreamRoute* route = routes_[stream.value()].get();
    return route != nullptr ? *route : MakeRoute(stream);
  }
  StreamRoute& MakeRoute(StreamId stream);
  // False: the frame is a line that holds no event.
  bool BeginLine(LineReader& lines, const Frame& frame);
  DecodeError Decode(StreamRoute& route, const InputChannel& channel, std::string_view text);
  void AddNote(const grid::WatermarkNote& note);
  // The event at hand is what one entity sent to another.
  void RouteMessage(const StreamRoute& route, std::string_view input, const grid::Origin& origin);
  // The same, an event that is retried.
  void RouteAgain(const grid::Origin& origin);
  // The event at hand, to a target without a key.
  void SendKeyless(const StreamRoute::Target& target, const grid::Origin& origin);
  // The entity of that key; good until the next.
  KeyRef KeyOf(const StreamRoute::Target& target, std::string_view key);
  // Sends the event at the start of record_ to its handlers.
  void SendToHandlers(StreamRoute& route, std::span<const StreamRoute::Target> targets,
                      std::string_view input, const grid::Origin& origin);
  // Of the event in record_, at the time `now_ms`; it is counted.
  bool DropTooOld(StreamRoute& route, TimeMs now_ms);
  void TellTooOld();
  void RouteDecoded(StreamRoute& route, const DecodeError& error, std::string_view input,
                    const grid::Origin& origin);
  // The event at hand is not one that simply goes to the stream's handlers: it may be late, or of
  // those that late ones are told from, or a message.
  void RouteUncommon(StreamRoute& route, std::string_view input, const grid::Origin& origin);
  // `target`: the handler it was for, if that is known. `event_bytes`: see grid::DeadLetter.
  void Refuse(const StreamRoute& route, const StreamRoute::Target* target, std::string_view event,
              uint64_t event_bytes, std::string_view error, const grid::Origin& origin);
  void FlushAll(bool dispatching);

  grid::ShardLoop& shard_;
  const GateOptions options_;
  JsonDocument document_;
  std::vector<std::unique_ptr<StreamRoute>> routes_;       // by StreamId, made when first needed
  std::unordered_map<std::string_view, ClassId> classes_;  // by prefix
  std::vector<uint64_t> late_;                             // by StreamId
  bool held_ = false;
  std::vector<HeldInput> held_inputs_;
  EventOutbox outbox_;
  DeadLetters dead_letters_;
  ClientInputs client_inputs_;

  ByteBuffer record_;                                // of the event at hand
  ByteBuffer key_;                                   // Redis key at hand
  std::string json_;                                 // padded copy of emitted JSON
  ByteBuffer again_;                                 // a message that has an event in it
  bool input_is_fields_ = false;                     // the event at hand came as pairs, not as JSON
  const grid::EventRecord* keyed_record_ = nullptr;  // RouteKeyed's last
  uint64_t keys_asked_ = 0;                          // of key functions, ever
  uint64_t keys_done_ = 0;
  std::deque<HeldNote> held_notes_;
  TimeMs door_now_ms_ = kNoTime;  // since the last flush, when somebody asked
  bool any_too_old_ = false;      // since then
  uint64_t admitted_ = 0;
  std::atomic<uint64_t> admitted_published_{0};
  uint64_t events_ = 0;
  uint64_t dead_letter_count_ = 0;
};

}  // namespace bettong::ingest
