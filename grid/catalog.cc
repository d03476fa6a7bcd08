#include "grid/catalog.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <unordered_set>

#include "grid/entity_message.h"

namespace bettong::grid {

std::string SnakeCase(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    auto c = static_cast<unsigned char>(name[i]);
    if (std::isupper(c)) {
      bool after_lower =
          i > 0 && !std::isupper(static_cast<unsigned char>(name[i - 1])) && name[i - 1] != '_';
      bool before_lower = i > 0 && i + 1 < name.size() && name[i - 1] != '_' &&
                          std::islower(static_cast<unsigned char>(name[i + 1]));
      if (after_lower || before_lower) out.push_back('_');
      out.push_back(static_cast<char>(std::tolower(c)));
    } else {
      out.push_back(name[i]);
    }
  }
  return out;
}

StreamSchema& Catalog::OwnStream(std::string_view name, StreamId& id) {
  size_t at = 0;
  while (at < streams.size() && streams[at].name != name) ++at;
  if (at == streams.size()) streams.emplace_back().name = std::string(name);
  streams[at].retired = false;
  id = StreamId(static_cast<uint16_t>(at));
  return streams[at];
}

std::string Catalog::CheckCondition(const ClassSchema& entity_class, HandlerSchema& handler) const {
  std::string error = handler.batch_max > 0 && !handler.when.empty()
                          ? "is of one event, and the handler takes several"
                          : handler.when.Check(entity_class, streams[handler.stream.value()].event);
  if (error.empty()) return "";
  return "entity class " + entity_class.name + ": when= of " + handler.method + ": it " + error;
}

std::string Catalog::Finish() {
  OwnStream(kDeadLetterStream, dead_letters);
  StreamSchema& message_stream = OwnStream(kMessageStream, messages);
  message_stream.event = MessageSchema();
  message_stream.view_entries_max = 0;
  if (streams.size() > kStreamsMax) return "more than " + std::to_string(kStreamsMax) + " streams";
  if (classes.size() > kClassesMax) {
    return "more than " + std::to_string(kClassesMax) + " entity classes";
  }
  if (functions.size() > kFunctionsMax) {
    return "more than " + std::to_string(kFunctionsMax) + " functions on streams";
  }
  std::unordered_set<std::string_view> stream_names;
  for (StreamSchema& stream : streams) {
    if (!stream_names.insert(stream.name).second)
      return "two streams have the name '" + stream.name + "'";
    if (stream.event.fields.size() > kEventFieldsMax) {
      return "event class " + stream.event.name + ": more than " + std::to_string(kEventFieldsMax) +
             " fields";
    }
    if (stream.event.name.empty() && stream.event.fields.empty()) {
      stream.event.fields.push_back(EventField{.name = "event", .default_json = ""});
    }
    stream.subscriptions.clear();
    stream.functions.clear();
  }
  for (size_t i = 0; i < functions.size(); ++i) {
    streams[functions[i].stream.value()].functions.push_back(static_cast<uint16_t>(i));
  }
  std::map<std::string, const ClassSchema*> by_prefix;
  for (size_t i = 0; i < classes.size(); ++i) {
    ClassSchema& entity_class = classes[i];
    if (entity_class.retired) continue;
    auto [other, fresh] = by_prefix.emplace(entity_class.prefix, &entity_class);
    if (!fresh) {
      return "two entity classes have the prefix '" + entity_class.prefix +
             "': " + other->second->name + " and " + entity_class.name +
             "; give one of them prefix=\"...\"";
    }
    if (std::string error = entity_class.row.Finish(); !error.empty()) {
      return "entity class " + entity_class.name + ": " + error;
    }
    entity_class.uses_watermark = entity_class.clock == TtlClock::kEvent;
    for (const uint32_t field : entity_class.row.timed()) {
      entity_class.uses_watermark |= entity_class.row.fields[field].type == FieldType::kWindow;
    }
    entity_class.timed_streams.clear();
    for (HandlerSchema& handler : entity_class.handlers) {
      for (WindowFeed& feed : handler.feeds) {
        const std::string error = feed.Check(entity_class, streams[handler.stream.value()].event);
        if (!error.empty()) return "entity class " + entity_class.name + ": " + error;
      }
      if (std::string error = CheckCondition(entity_class, handler); !error.empty()) return error;
      std::vector<StreamId>& timed = entity_class.timed_streams;
      const bool known = std::find(timed.begin(), timed.end(), handler.stream) != timed.end();
      if (!known && streams[handler.stream.value()].event.time_field) {
        timed.push_back(handler.stream);
      }
    }
    for (size_t handler = 0; handler < entity_class.handlers.size(); ++handler) {
      streams[entity_class.handlers[handler].stream.value()].subscriptions.push_back(
          Subscription{ClassId(static_cast<uint16_t>(i)), static_cast<uint16_t>(handler)});
    }
  }
  if (streams[messages.value()].has_handlers()) {
    return "the events of stream '" + std::string(kMessageStream) +
           "' are messages to the entities that they name: no other handler can have them";
  }
  for (const StreamSchema& stream : streams) {
    // Entities would never get at the key where the stream's view lies, nor clients at the view.
    if (stream.retired) continue;
    const ClassSchema* owner = ClassOfKey(stream.name);
    if (owner == nullptr) continue;
    const std::string keys = "'" + owner->prefix + ":...'";
    return stream.name == kDeadLetterStream || stream.name == kMessageStream
               ? "entity class " + owner->name + ": the keys " + keys +
                     " belong to the node (stream '" + stream.name +
                     "'); give it another prefix=\"...\""
               : "the stream '" + stream.name + "' lies among the keys " + keys +
                     " of entity class " + owner->name +
                     "; rename it, or give the class another prefix=\"...\"";
  }
  for (ClassSchema& entity_class : classes) {
    if (entity_class.retired) continue;
    std::string prefix = entity_class.prefix + ":";
    auto longer = by_prefix.lower_bound(prefix);
    entity_class.shares_prefix = longer != by_prefix.end() && longer->first.starts_with(prefix);
  }
  return "";
}

const StreamSchema* Catalog::FindStream(std::string_view name, StreamId* id) const {
  for (size_t i = 0; i < streams.size(); ++i) {
    if (streams[i].name != name || streams[i].retired) continue;
    if (id != nullptr) *id = StreamId(static_cast<uint16_t>(i));
    return &streams[i];
  }
  return nullptr;
}

const ClassSchema* Catalog::FindClass(std::string_view name, ClassId* id) const {
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i].retired) continue;
    if (classes[i].name != name && classes[i].prefix != name &&
        SnakeCase(classes[i].name) != name) {
      continue;
    }
    if (id != nullptr) *id = ClassId(static_cast<uint16_t>(i));
    return &classes[i];
  }
  return nullptr;
}

const FunctionSchema* Catalog::FindFunction(StreamId stream, std::string_view name,
                                            uint16_t* index) const {
  for (const uint16_t function : streams[stream.value()].functions) {
    if (functions[function].name != name) continue;
    if (index != nullptr) *index = function;
    return &functions[function];
  }
  return nullptr;
}

const ClassSchema* Catalog::ClassOfKey(std::string_view redis_key, ClassId* id) const {
  const ClassSchema* best = nullptr;
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i].retired) continue;
    const std::string& prefix = classes[i].prefix;
    if (redis_key.size() <= prefix.size() || redis_key[prefix.size()] != ':' ||
        !redis_key.starts_with(prefix)) {
      continue;
    }
    if (best != nullptr && best->prefix.size() >= prefix.size()) continue;
    best = &classes[i];
    if (id != nullptr) *id = ClassId(static_cast<uint16_t>(i));
  }
  return best;
}

}  // namespace bettong::grid
