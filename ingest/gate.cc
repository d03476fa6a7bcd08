#include "ingest/gate.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/entity_message.h"
#include "ingest/record_fields.h"

namespace bettong::ingest {

Gate::Gate(grid::ShardLoop& shard, GateOptions options)
    : shard_(shard),
      options_(std::move(options)),
      outbox_(shard),
      dead_letters_(shard),
      client_inputs_(
          shard, options_.client_idle_ms,
          [this](const grid::WatermarkNote& note) { AddNote(note); }, [this] { FlushAll(false); }) {
  DeriveFromCatalog();
}

Gate::~Gate() = default;

// --- of every event

// What the event has brought along goes with it to its handlers, so that what they do does not
// depend on how soon the shards are told.
inline void Gate::Stamp(StreamRoute& route, grid::SourceRef partition, TimeMs seen_ms) {
  if (seen_ms == kNoTime) return;
  const grid::Watermarks& watermarks = shard_.shard().watermarks();
  // A read's events share it, however many partitions there are.
  if (route.beside_version != watermarks.version() || route.beside_of != partition) {
    route.beside = watermarks.Beside(route.stream, partition);
    route.beside_of = partition;
    route.beside_version = watermarks.version();
  }
  record().watermark_ms = route.beside.With(seen_ms - route.lateness_ms);
}

inline void Gate::RouteDecoded(StreamRoute& route, const DecodeError& error, std::string_view input,
                               const grid::Origin& origin) {
  if (!error.ok()) {
    const grid::EventSchema& schema = shard_.catalog().streams[route.stream.value()].event;
    return Refuse(route, nullptr, input, 0, DescribeDecodeError(error, schema, input), origin);
  }
  ++events_;
  if (route.is_messages || route.refuses_late || record().IsLate()) {
    return RouteUncommon(route, input, origin);
  }
  SendToHandlers(route, route.targets, input, origin);
}

// --- what sources read

void Gate::RouteFrame(InputChannel& channel, const Frame& frame) {
  if (frame.kind == Frame::Kind::kNone) return;
  if (channel.lines != nullptr && !BeginLine(*channel.lines, frame)) return;
  ++channel.frames;
  ++admitted_;
  StreamRoute& route = RouteOf(channel.stream);
  const uint64_t refused_before = dead_letter_count_;
  switch (frame.kind) {
    case Frame::Kind::kNone:
      break;
    case Frame::Kind::kFrame: {
      record_.clear();
      const DecodeError error = Decode(route, channel, frame.text);
      if (error.ok()) {
        ++channel.events;
        if (route.max_age_ms && options_.too_old != nullptr) {
          if (door_now_ms_ == kNoTime) door_now_ms_ = shard_.now_ms();
          if (DropTooOld(route, door_now_ms_)) break;
        }
        channel.SeeTime(record().time_ms);
        if (route.uses_watermark) Stamp(route, channel.source, channel.seen_ms);
      }
      RouteDecoded(route, error, frame.text, channel.origin);
      break;
    }
    case Frame::Kind::kTooLong:
      Refuse(route, nullptr, frame.text, frame.size_bytes,
             absl::StrCat("line of ", frame.size_bytes, " bytes is over the limit"),
             channel.origin);
      break;
    case Frame::Kind::kBadLength:
      Refuse(route, nullptr, frame.text, 0,
             absl::StrCat("frame length ", frame.size_bytes,
                          " is over the limit; nothing behind it can be read"),
             channel.origin);
      break;
    case Frame::Kind::kTruncated:
      Refuse(route, nullptr, frame.text, frame.size_bytes, "the input ended inside of this frame",
             channel.origin);
      break;
  }
  channel.dead_letters += dead_letter_count_ - refused_before;
  if (outbox_.full()) FlushAll(false);
}

bool Gate::BeginLine(LineReader& lines, const Frame& frame) {
  if (frame.kind == Frame::Kind::kFrame) return lines.Begin(frame.text, shard_.now_ms());
  lines.OnLostLine();
  return true;
}

DecodeError Gate::Decode(StreamRoute& route, const InputChannel& channel, std::string_view text) {
  return channel.lines == nullptr
             ? route.decoder.DecodeJson(text, record_, channel.beside)
             : route.decoder.DecodeLine(*channel.lines, text, record_, channel.beside);
}

void Gate::EndRead(InputChannel& channel) {
  const bool news = channel.events > 0 && channel.seen_ms != kNoTime &&
                    (!channel.joined || channel.seen_ms > channel.announced_ms);
  channel.Publish();
  if (news && RouteOf(channel.stream).uses_watermark) {
    channel.joined = true;
    channel.announced_ms = channel.seen_ms;
    AddNote({.kind = grid::WatermarkNote::Kind::kAdvance,
             .stream = channel.stream,
             .partition = channel.source,
             .time_ms = channel.seen_ms});
  }
  FlushAll(false);
}

void Gate::SendRead(InputChannel& channel) {
  const bool joins = channel.events > 0;
  channel.Publish();
  if (joins) return Join(channel);
  FlushAll(false);
}

void Gate::Join(InputChannel& channel) {
  if (!channel.joined && RouteOf(channel.stream).uses_watermark) {
    channel.joined = true;
    AddNote({.kind = grid::WatermarkNote::Kind::kAdvance,
             .stream = channel.stream,
             .partition = channel.source,
             .time_ms = kNoTime});
  }
  FlushAll(false);
}

// While credits are given back: nothing but events may be submitted there and then. It need not
// wait for keys: those of what is done are.
bool Gate::Announce(InputChannel& channel, TimeMs done_ms) {
  if (!channel.joined || done_ms == kNoTime || done_ms <= channel.announced_ms) return false;
  channel.announced_ms = done_ms;
  outbox_.AddNote(Lagging({.kind = grid::WatermarkNote::Kind::kAdvance,
                           .stream = channel.stream,
                           .partition = channel.source,
                           .time_ms = done_ms}));
  FlushAll(true);
  return true;
}

void Gate::Leave(InputChannel& channel, bool at_end) {
  if (std::exchange(channel.joined, false)) {
    AddNote({.kind = grid::WatermarkNote::Kind::kLeave,
             .stream = channel.stream,
             .partition = channel.source,
             .time_ms = at_end ? channel.seen_ms : kNoTime});
  }
  FlushAll(false);
}

// --- what computations emit and clients add

void Gate::RouteJson(StreamId stream, std::string_view json, const grid::Origin& origin) {
  if (held_) return Keep({.stream = stream, .text = std::string(json), .origin = origin});
  StreamRoute& route = RouteOf(stream);
  json_.assign(json);
  json_.append(kFramePaddingBytes, ' ');
  const std::string_view padded = std::string_view(json_).substr(0, json.size());
  record_.clear();
  const DecodeError error = route.decoder.DecodeJson(padded, record_);
  if (route.uses_watermark && error.ok()) SeeClientInput(route);
  RouteDecoded(route, error, padded, origin);
}

void Gate::RouteFields(StreamId stream, std::string_view fields_payload, grid::StreamEntryId id,
                       const grid::Origin& origin) {
  if (held_) {
    return Keep({.stream = stream,
                 .is_fields = true,
                 .id = id,
                 .text = std::string(fields_payload),
                 .origin = origin});
  }
  ++admitted_;
  StreamRoute& route = RouteOf(stream);
  record_.clear();
  const DecodeError error = route.decoder.DecodeFields(fields_payload, record_);
  if (error.ok() && route.max_age_ms && options_.too_old != nullptr &&
      DropTooOld(route, static_cast<TimeMs>(std::min<uint64_t>(id.ms, kEventTimeMsMax)))) {
    return;
  }
  if (route.uses_watermark && error.ok()) SeeClientInput(route);
  input_is_fields_ = true;
  RouteDecoded(route, error, fields_payload, origin);
  input_is_fields_ = false;
}

// --- another catalog

void Gate::Keep(HeldInput input) {
  const grid::Credit kept{.source = input.origin.source, .delta = +1};
  shard_.SendCredits({&kept, 1});
  held_inputs_.push_back(std::move(input));
}

void Gate::SetHeld(bool held) {
  held_ = held;
  if (held) return;
  std::vector<grid::Credit> routed;
  for (const HeldInput& input : std::exchange(held_inputs_, {})) {
    if (input.is_fields) {
      RouteFields(input.stream, input.text, input.id, input.origin);
    } else {
      RouteJson(input.stream, input.text, input.origin);
    }
    grid::AddCredit(routed, input.origin.source, -1);
    if (outbox_.full()) FlushAll(false);
  }
  client_inputs_.Announce();
  FlushAll(false);
  // Their consequences have been counted.
  shard_.SendCredits(routed);
}

void Gate::OnCatalogChanged() {
  if (any_too_old_) TellTooOld();
  DeriveFromCatalog();
}

// Streams keep what has been counted of them.
void Gate::DeriveFromCatalog() {
  const grid::Catalog& catalog = shard_.catalog();
  routes_.clear();
  routes_.resize(catalog.streams.size());
  late_.resize(catalog.streams.size());
  classes_.clear();
  for (size_t i = 0; i < catalog.classes.size(); ++i) {
    if (catalog.classes[i].retired) continue;
    classes_.emplace(catalog.classes[i].prefix, ClassId(static_cast<uint16_t>(i)));
  }
}

void Gate::SeeClientInput(StreamRoute& route) {
  if (record().time_ms == kNoTime) return;
  const ClientInputs::Seen seen = client_inputs_.See(route.stream, record().time_ms);
  Stamp(route, seen.partition, seen.time_ms);
}

void Gate::RouteKeyed(const grid::KeyedEvent& event) {
  if (event.record != keyed_record_) outbox_.SetRecord(event.record);
  keyed_record_ = event.record;
  outbox_.Add(shard_.slot_map().Key(event.redis_key), event.entity_class, event.handler,
              event.origin, event.occurrence);
}

void Gate::OnKeysDone(uint64_t count) {
  keys_done_ += count;
  while (!held_notes_.empty() && held_notes_.front().after_keys <= keys_done_) {
    outbox_.AddNote(held_notes_.front().note);
    held_notes_.pop_front();
  }
}

void Gate::Flush() {
  keyed_record_ = nullptr;
  client_inputs_.Announce();
  FlushAll(true);
}

void Gate::LeaveClientInputs() {
  client_inputs_.LeaveAll();
  FlushAll(false);
}

// --- routing

// A note must not overtake the events before it, some of which may wait for their keys.
void Gate::AddNote(const grid::WatermarkNote& note) {
  if (RouteOf(note.stream).has_key_functions && keys_asked_ > keys_done_) {
    held_notes_.push_back({keys_asked_, Lagging(note)});
  } else {
    outbox_.AddNote(Lagging(note));
  }
}

// What a partition has seen says less by the stream's lateness, while there may be more of it.
grid::WatermarkNote Gate::Lagging(grid::WatermarkNote note) {
  const bool advances = note.kind == grid::WatermarkNote::Kind::kAdvance;
  if (advances && note.time_ms != kNoTime) note.time_ms -= RouteOf(note.stream).lateness_ms;
  return note;
}

StreamRoute& Gate::MakeRoute(StreamId stream) {
  return *(routes_[stream.value()] =
               std::make_unique<StreamRoute>(shard_.catalog(), stream, document_));
}

void Gate::RouteUncommon(StreamRoute& route, std::string_view input, const grid::Origin& origin) {
  if (route.is_messages) return RouteMessage(route, input, origin);
  const bool refuses = route.refuses_late && shard_.shard().MayHaveBeenHandled(origin);
  if (refuses && shard_.shard().HasLetter(origin)) return;  // it was late before a crash
  if (!record().IsLate()) return SendToHandlers(route, route.targets, input, origin);
  ++late_[route.stream.value()];
  if (!route.late_targets.empty()) {
    SendToHandlers(route, route.late_targets, input, origin);
  } else if (route.refuses_late && (!refuses || route.targets.empty() ||
                                    BETTONG_PLANTED(late_again_is_late_at_the_door))) {
    Refuse(route, nullptr, input, 0, grid::DescribeLate(record()), origin);
  } else {
    // Also one that may have been in time before a crash: then its entities know, or refuse it.
    if (refuses) BETTONG_SOMETIMES(late_event_may_have_been_in_time);
    SendToHandlers(route, route.targets, input, origin);
  }
}

void Gate::RouteMessage(const StreamRoute& route, std::string_view input,
                        const grid::Origin& origin) {
  if (!record().IsNull(static_cast<size_t>(grid::MessageField::kEvent))) return RouteAgain(origin);
  const std::string_view prefix = MessageText(record(), grid::MessageField::kClass);
  const auto entity_class = classes_.find(prefix);
  if (entity_class == classes_.end()) {
    return Refuse(
        route, nullptr, input, 0,
        absl::StrCat("no entity class has the prefix '", std::string(prefix), "' (any more)"),
        origin);
  }
  const std::string_view key = MessageText(record(), grid::MessageField::kKey);
  if (key.empty() || key.size() > grid::kEventKeyBytesMax) {
    const KeyStatus wrong = key.empty() ? KeyStatus::kEmpty : KeyStatus::kTooLong;
    return Refuse(route, nullptr, input, 0, DescribeKeyError(wrong, "key"), origin);
  }
  constexpr auto kTime = static_cast<size_t>(grid::MessageField::kTime);
  if (!record().IsNull(kTime)) record().time_ms = record().Int(kTime);
  key_.clear();
  key_.Append(prefix), key_.Append(":"), key_.Append(key);
  outbox_.SetRecord(&record());
  outbox_.AddMessage(shard_.slot_map().Key(key_.view()), entity_class->second, origin);
}

// To the one handler that a dead letter was of, or, where it had reached none, to all.
void Gate::RouteAgain(const grid::Origin& origin) {
  using grid::MessageField;
  std::swap(again_, record_);
  const auto& message = *reinterpret_cast<const grid::EventRecord*>(again_.data());
  const grid::Catalog& catalog = shard_.catalog();
  const std::string_view event = MessageText(message, MessageField::kEvent);
  StreamId stream;
  if (catalog.FindStream(MessageText(message, MessageField::kStream), &stream) == nullptr) {
    return Refuse(RouteOf(catalog.messages), nullptr, event, 0,
                  "the stream of the event is not there (any more)", origin);
  }
  StreamRoute& route = RouteOf(stream);
  json_.assign(event).append(kFramePaddingBytes, ' ');
  const std::string_view padded = std::string_view(json_).substr(0, event.size());
  record_.clear();
  if (const DecodeError error = route.decoder.DecodeJson(padded, record_); !error.ok()) {
    const grid::EventSchema& schema = catalog.streams[stream.value()].event;
    return Refuse(route, nullptr, padded, 0, DescribeDecodeError(error, schema, padded), origin);
  }
  const std::string_view prefix = MessageText(message, MessageField::kClass);
  const std::string_view handler = MessageText(message, MessageField::kMethod);
  if (prefix.empty() && handler.empty()) {
    return SendToHandlers(route, route.targets, padded, origin);
  }
  if (prefix.empty()) {
    uint16_t function;
    if (catalog.FindFunction(stream, handler, &function) == nullptr) {
      return Refuse(route, nullptr, padded, 0,
                    absl::StrCat("no function '", std::string(handler),
                                 "' takes events of the stream (any more)"),
                    origin);
    }
    outbox_.SetRecord(&record());
    return outbox_.AddFunction(function, origin);
  }
  const StreamRoute::Target* target = route.Find(catalog, prefix, handler);
  if (target == nullptr) {
    return Refuse(route, nullptr, padded, 0,
                  absl::StrCat("no class of the prefix '", std::string(prefix), "' has a handler '",
                               std::string(handler), "' of the stream (any more)"),
                  origin);
  }
  const std::string_view key = MessageText(message, MessageField::kKey);
  if (key.empty()) return SendToHandlers(route, {target, 1}, padded, origin);
  outbox_.SetRecord(&record());
  outbox_.AddFirst(KeyOf(*target, key), target->entity_class, target->handler, origin);
}

KeyRef Gate::KeyOf(const StreamRoute::Target& target, std::string_view key) {
  key_.clear();
  key_.Append(target.key_prefix);
  key_.Append(key);
  return shard_.slot_map().Key(key_.view());
}

bool Gate::DropTooOld(StreamRoute& route, TimeMs now_ms) {
  const int64_t age_ms = now_ms - record().time_ms;
  if (age_ms <= *route.max_age_ms) return false;
  ++route.too_old;
  route.too_old_age_ms = std::max(route.too_old_age_ms, age_ms);
  any_too_old_ = true;
  return true;
}

void Gate::TellTooOld() {
  any_too_old_ = false;
  for (const std::unique_ptr<StreamRoute>& route : routes_) {
    if (route == nullptr || route->too_old == 0) continue;
    options_.too_old->Add(route->stream, std::exchange(route->too_old, 0),
                          std::exchange(route->too_old_age_ms, 0), shard_.now_ms());
  }
}

void Gate::SendKeyless(const StreamRoute::Target& target, const grid::Origin& origin) {
  if (target.to == StreamRoute::Target::To::kFunction) {
    outbox_.AddFunction(target.handler, origin);
    return;
  }
  outbox_.AddKeyless(target.entity_class, target.handler, origin);
  ++keys_asked_;
}

void Gate::SendToHandlers(StreamRoute& route, std::span<const StreamRoute::Target> targets,
                          std::string_view input, const grid::Origin& origin) {
  outbox_.SetRecord(&record());
  for (const StreamRoute::Target& target : targets) {
    if (target.to != StreamRoute::Target::To::kKeyField) {
      SendKeyless(target, origin);
      continue;
    }
    const EventKey key = route.decoder.Key(target.key, record());
    if (key.status != KeyStatus::kOk) {
      Refuse(route, &target, input, 0, DescribeKeyError(key.status, target.key_field), origin);
      continue;
    }
    outbox_.Add(KeyOf(target, key.text), target.entity_class, target.handler, origin);
  }
  if (targets.empty() && !std::exchange(route.warned, true) && options_.log) {
    options_.log(absl::StrCat("stream ", shard_.catalog().streams[route.stream.value()].name,
                              ": no handler takes its events"));
  }
}

void Gate::Refuse(const StreamRoute& route, const StreamRoute::Target* target,
                  std::string_view event, uint64_t event_bytes, std::string_view error,
                  const grid::Origin& origin) {
  ++dead_letter_count_;
  const grid::Catalog& catalog = shard_.catalog();
  std::string fields_json;
  if (input_is_fields_) {
    AppendFieldsJson(event, fields_json);
    event = fields_json;
  }
  std::string place;
  if (const OriginPlaces* places = shard_.shard().origin_places()) {
    place = places->Find(origin.channel, origin.position);
  }
  grid::DeadLetter letter;
  letter.origin_json = place;
  letter.stream = catalog.streams[route.stream.value()].name;
  if (target != nullptr) {
    const grid::ClassSchema& entity_class = catalog.classes[target->entity_class.value()];
    letter.entity_class = entity_class.name;
    letter.handler = entity_class.handlers[target->handler].method;
  }
  letter.event_text = event;
  letter.event_text_bytes = event_bytes;
  letter.error = error;
  const uint64_t which = target == nullptr ? 0 : target->number;
  dead_letters_.Add(letter, origin, grid::kLetterTarget + which);
}

void Gate::FlushAll(bool dispatching) {
  admitted_published_.store(admitted_, std::memory_order_relaxed);
  door_now_ms_ = kNoTime;
  if (any_too_old_) TellTooOld();
  outbox_.Flush(dispatching);
  dead_letters_.Flush();
}

}  // namespace bettong::ingest
