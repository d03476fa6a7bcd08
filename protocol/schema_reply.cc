#include "protocol/schema_reply.h"

#include <string>

#include "protocol/entity_fields.h"

namespace bettong::protocol {
namespace {

using grid::Catalog;
using grid::ClassSchema;
using grid::StreamSchema;

std::string_view EventTypeName(grid::EventFieldType type) {
  switch (type) {
    case grid::EventFieldType::kInt:
      return "int";
    case grid::EventFieldType::kFloat:
      return "float";
    case grid::EventFieldType::kBool:
      return "bool";
    case grid::EventFieldType::kText:
      return "str";
    case grid::EventFieldType::kBytes:
      return "bytes";
    case grid::EventFieldType::kList:
      return "list";
    case grid::EventFieldType::kObject:
      return "object";
    case grid::EventFieldType::kAny:
      break;
  }
  return "any";
}

// A command as Python would declare it: "mean(seconds: int) -> float".
std::string Signature(const grid::CommandSchema& command) {
  std::string text = command.name + "(";
  for (size_t i = 0; i < command.parameters.size(); ++i) {
    const grid::CommandParameter& parameter = command.parameters[i];
    if (i > 0) text += ", ";
    text += parameter.name;
    if (!parameter.type.empty()) text += ": " + parameter.type;
    if (!parameter.required) text += " = ...";
  }
  text += ")";
  if (!command.returns.empty()) text += " -> " + command.returns;
  return text;
}

void ReplyStream(const StreamSchema& stream, const Catalog& catalog, ReplyWriter& reply) {
  reply.Map(4);
  reply.Bulk("name");
  reply.Bulk(stream.name);
  reply.Bulk("event");
  if (stream.event.name.empty()) {
    reply.Null();
  } else {
    reply.Bulk(stream.event.name);
  }
  reply.Bulk("fields");
  const auto& fields = stream.event.fields;
  reply.Map(stream.event.name.empty() ? 0 : fields.size());
  for (const grid::EventField& field : fields) {
    if (stream.event.name.empty()) break;
    reply.Bulk(field.name);
    reply.Bulk(std::string(EventTypeName(field.type)) + (field.optional ? " | None" : ""));
  }
  reply.Bulk("handlers");
  reply.Array(stream.subscriptions.size() + stream.functions.size());
  for (const grid::Subscription& subscription : stream.subscriptions) {
    const ClassSchema& entity_class = catalog.classes[subscription.entity_class.value()];
    reply.Bulk(entity_class.name + "." + entity_class.handlers[subscription.handler].method);
  }
  for (const uint16_t function : stream.functions) reply.Bulk(catalog.functions[function].name);
}

}  // namespace

void ReplyCatalog(const Catalog& catalog, ReplyWriter& reply) {
  const auto classes = grid::Declared(catalog.classes);
  const auto streams = grid::Declared(catalog.streams);
  reply.Map(2);
  reply.Bulk("classes");
  reply.Array(classes.size());
  for (const ClassSchema* entity_class : classes) ReplyClass(catalog, *entity_class, reply);
  reply.Bulk("streams");
  reply.Array(streams.size());
  for (const StreamSchema* stream : streams) ReplyStream(*stream, catalog, reply);
}

void ReplyClass(const Catalog& catalog, const ClassSchema& entity_class, ReplyWriter& reply) {
  reply.Map(7);
  reply.Bulk("name");
  reply.Bulk(entity_class.name);
  reply.Bulk("prefix");
  reply.Bulk(entity_class.prefix);
  reply.Bulk("ttl_ms");
  if (entity_class.ttl_ms) {
    reply.Integer(*entity_class.ttl_ms);
  } else {
    reply.Null();
  }
  reply.Bulk("clock");
  reply.Bulk(entity_class.clock == grid::TtlClock::kEvent ? "event" : "wall");
  reply.Bulk("fields");
  reply.Map(entity_class.row.shown().size());
  for (const grid::FieldSchema& field : entity_class.row.shown()) {
    reply.Bulk(field.name);
    reply.Bulk(FieldTypeText(field));
  }
  reply.Bulk("commands");
  reply.Array(entity_class.commands.size());
  for (const grid::CommandSchema& command : entity_class.commands) reply.Bulk(Signature(command));
  reply.Bulk("streams");
  reply.Array(entity_class.handlers.size());
  for (const grid::HandlerSchema& handler : entity_class.handlers) {
    reply.Bulk(catalog.streams[handler.stream.value()].name);
  }
}

}  // namespace bettong::protocol
