// The catalog: what a node's apps declare — streams, event classes, entity classes — as plain data.
// Built once when the apps are loaded, then shared immutably by shards, ingest and compute hosts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/condition.h"
#include "grid/failure_policy.h"
#include "grid/rate_limit.h"
#include "grid/row_schema.h"
#include "grid/window_feed.h"

namespace bettong::grid {

inline constexpr size_t kEventFieldsMax = 64;
inline constexpr size_t kStreamsMax = 4096;
inline constexpr size_t kClassesMax = 4096;
inline constexpr size_t kFunctionsMax = 4096;
inline constexpr uint32_t kEventsPerTurnMax = 4096;  // HandlerSchema::batch_max
inline constexpr uint32_t kStreamViewEntriesDefault = 10'000;
// A view also holds no more than so many bytes of entries, and one entry however large.
inline constexpr uint64_t kStreamViewBytesMax = 16u << 20;
inline constexpr std::string_view kDeadLetterStream = "bettong:dead-letters";

// A field of an event class. Lists, nested objects and dicts stay JSON text in the record and are
// converted by the compute host; `json_shape` lets the decoder refuse the wrong kind early.
enum class EventFieldType : uint8_t { kInt, kFloat, kBool, kText, kBytes, kList, kObject, kAny };

struct EventField {
  std::string name;
  EventFieldType type = EventFieldType::kAny;
  bool optional = false;  // accepts null
  bool required = true;   // no default: a missing one makes the event undecodable
  // The default when the event lacks the field, as JSON text; empty when required.
  std::string default_json;

  bool operator==(const EventField&) const = default;
};

struct EventSchema {
  std::string name;                  // class name; empty for events without a class
  std::vector<EventField> fields;    // slot i of a record holds fields[i]
  std::optional<size_t> time_field;  // index of the field that carries the event time in ms
};

// What turns an event into keys: a field of the event, or a function run by the compute host.
struct KeySpec {
  enum class Kind : uint8_t { kField, kFunction };
  Kind kind = Kind::kField;
  size_t field = 0;        // kField with an event class: index into EventSchema::fields
  std::string field_name;  // kField
};

struct HandlerSchema {
  StreamId stream;
  std::string method;
  KeySpec key;
  bool late = false;  // takes the stream's late events
  // Of one entity so many events may be taken in one turn; 0: the handler takes one, not several.
  uint32_t batch_max = 0;
  FailurePolicy on_error;
  RateLimit limit;
  std::vector<WindowFeed> feeds;  // run before the method
  bool has_code = true;           // false: feeding windows is all there is to it
  // Of one event and its entity, once windows are fed: false ends the turn without the method.
  Condition when;
};

struct CommandParameter {
  std::string name;
  std::string type;  // as annotated, for SCHEMA
  bool required = true;
};

struct CommandSchema {
  std::string name;
  bool create = false;  // CALL on a missing key creates the entity
  std::vector<CommandParameter> parameters;
  std::string returns;
};

enum class TtlClock : uint8_t { kWall, kEvent };

// What part of a class a turn runs; the compute host resolves it to code.
// kMessage: an event of the stream of messages (entity_message.h), which names the method.
// kDue: whatever of its fields is due runs. It is made of kTimer and kClose turns.
// kFunction: an event for a function of the app, which is of no class and no entity.
enum class TurnKind : uint8_t {
  kEvent,
  kMessage,
  kCall,
  kCreate,
  kExpire,
  kKeys,
  kFunction,
  kDue,
  kTimer,
  kClose,
};
// Of what comes in an EventBatch for a key that is known.
constexpr bool IsEventTurn(TurnKind kind) {
  return kind == TurnKind::kEvent || kind == TurnKind::kMessage;
}
// Of what comes in an EventBatch for no entity: it stays on the shard that it came in by.
constexpr bool IsKeyless(TurnKind kind) {
  return kind == TurnKind::kKeys || kind == TurnKind::kFunction;
}

struct ClassSchema {
  std::string name;    // "Host"
  std::string prefix;  // "host": Redis key is prefix + ":" + key
  RowSchema row;
  std::optional<int64_t> ttl_ms;  // idle time; nullopt: lives until deleted
  TtlClock clock = TtlClock::kWall;
  bool has_on_create = false;
  bool has_on_expire = false;
  bool has_on_close = false;  // of its windows
  bool has_migrate = false;   // makes new fields of old ones
  FailurePolicy on_error;     // of turns that no event asks for: timers, on_close, on_expire
  std::vector<HandlerSchema> handlers;
  std::vector<CommandSchema> commands;
  // The app has it no more, since a reload: it keeps its id and its name, no entity lives, and
  // nobody finds it.
  bool retired = false;
  // Set by Catalog::Finish: the prefix of another class continues this one's ("host", "host:cpu"),
  // so that a key of this class may in truth belong to that one.
  bool shares_prefix = false;

  // Set by Catalog::Finish: its turns depend on the watermarks of its streams; those of its streams
  // whose events carry a time, each once.
  bool uses_watermark = false;
  std::vector<StreamId> timed_streams;
  // What ends an entity of it may run the user's code.
  bool ends_by_turn() const { return has_on_expire || has_on_close; }
};

// A function that takes a stream's events without an entity: what it emits is all that comes of it.
struct FunctionSchema {
  std::string name;  // unique, and the same at each start: letters, marks and metrics go by it
  StreamId stream;
  bool late = false;       // takes the stream's late events
  uint32_t batch_max = 0;  // as HandlerSchema's, of whatever comes by one partition
  FailurePolicy on_error;  // never kRetry: there is no key that could rest meanwhile
};

// A (class, handler) pair that a stream's events go to.
struct Subscription {
  ClassId entity_class;
  uint16_t handler = 0;  // index into ClassSchema::handlers
};

// What becomes of events older than their stream's watermark that no handler is there for.
enum class LateEvents : uint8_t { kHandle, kDeadLetter };

struct StreamSchema {
  std::string name;
  EventSchema event;  // no name: events are dicts, the record is one slot of JSON text (kAny)
  uint32_t view_entries_max = kStreamViewEntriesDefault;
  // What comes in from outside and is older, by the wall clock, is dropped.
  std::optional<int64_t> max_age_ms;
  // By so much the watermark lags behind the highest event time.
  int64_t lateness_ms = 0;
  LateEvents late_events = LateEvents::kHandle;
  bool retired = false;                     // as ClassSchema's
  bool adds_are_durable = false;            // a client's entry is answered when it is on disk
  std::vector<Subscription> subscriptions;  // filled by Catalog::Finish
  std::vector<uint16_t> functions;          // likewise: indices into Catalog::functions

  bool has_handlers() const { return !subscriptions.empty() || !functions.empty(); }
};

struct Catalog {
  std::vector<StreamSchema> streams;
  std::vector<ClassSchema> classes;
  std::vector<FunctionSchema> functions;  // of the code that runs: a reload numbers them anew
  StreamId dead_letters;                  // always present, as
  StreamId messages;                      // what entities send each other

  // Adds the node's own streams, links subscriptions, lays out rows. Empty string, or what is wrong
  // ("two entity classes have the prefix 'host': app.Host and other.Host").
  std::string Finish();

  const StreamSchema* FindStream(std::string_view name, StreamId* id = nullptr) const;
  const ClassSchema* FindClass(std::string_view name_or_snake, ClassId* id = nullptr) const;
  const FunctionSchema* FindFunction(StreamId stream, std::string_view name,
                                     uint16_t* index = nullptr) const;
  // Whether events of the stream go to entities or functions.
  bool HasHandlers(StreamId stream) const {
    return stream == messages || streams[stream.value()].has_handlers();
  }
  // The class whose prefix the Redis key carries, or nullptr.
  const ClassSchema* ClassOfKey(std::string_view redis_key, ClassId* id = nullptr) const;

 private:
  // There whether an app names it or not.
  StreamSchema& OwnStream(std::string_view name, StreamId& id);
  std::string CheckCondition(const ClassSchema& entity_class, HandlerSchema& handler) const;
};

// Classes or streams without those that are retired.
template <typename Schema>
std::vector<const Schema*> Declared(const std::vector<Schema>& all) {
  std::vector<const Schema*> declared;
  for (const Schema& each : all) {
    if (!each.retired) declared.push_back(&each);
  }
  return declared;
}

// CamelCase -> camel_case.
std::string SnakeCase(std::string_view name);

}  // namespace bettong::grid
