// What one entity sends to another: an event of the node's own stream `bettong:messages`, which
// goes the way of everything that is emitted — logged with the turn that sent it, once, in order —
// and names the entity that it is for, and the method to run. Or, of a dead letter that is retried,
// the event, and the handler that is to take it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/event.h"

namespace bettong::grid {

inline constexpr std::string_view kMessageStream = "bettong:messages";

// Fields of the event, in order.
enum class MessageField : size_t {
  kClass,      // of the receiver: its prefix, as in keys; null: whatever handles the event
  kKey,        // the receiver, without the prefix; null: the event tells
  kMethod,     // of the receiver
  kArguments,  // a list of JSON values
  kNamed,      // an object: arguments by name; null: none
  kTime,       // event time of the turn that sent it, ms; null: it had none
  kStream,     // of an event that is retried
  kEvent,      // the event, JSON as text; null: none, the method is called
};

EventSchema MessageSchema();

struct EntityMessage {
  std::string_view prefix;
  std::string_view key;  // UTF-8
  std::string_view method;
  std::string_view arguments_json = "[]";
  std::string_view named_json = "";  // empty: none
  TimeMs time_ms = kNoTime;
};

// As JSON, to be emitted into Catalog::messages.
void AppendMessageJson(const EntityMessage& message, std::string& out);

// An event for a handler of an entity, as far as is known; what is empty is not.
struct EventAgain {
  std::string_view stream;
  std::string_view event;  // JSON
  std::string_view prefix;
  std::string_view key;
  std::string_view handler;
};

void AppendMessageJson(const EventAgain& again, std::string& out);

// Of a record of Catalog::messages.
inline std::string_view MessageText(const EventRecord& record, MessageField field) {
  return record.IsNull(static_cast<size_t>(field)) ? std::string_view()
                                                   : record.Bytes(static_cast<size_t>(field));
}

}  // namespace bettong::grid
