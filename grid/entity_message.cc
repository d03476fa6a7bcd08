#include "grid/entity_message.h"

#include "base/json_text.h"

namespace bettong::grid {

EventSchema MessageSchema() {
  EventSchema schema;
  schema.name = "Message";
  const auto field = [&](MessageField at, const char* name, EventFieldType type) {
    schema.fields.resize(static_cast<size_t>(at) + 1);
    schema.fields[static_cast<size_t>(at)] = EventField{
        .name = name, .type = type, .optional = true, .required = false, .default_json = "null"};
  };
  field(MessageField::kClass, "class", EventFieldType::kText);
  field(MessageField::kKey, "key", EventFieldType::kText);
  field(MessageField::kMethod, "method", EventFieldType::kText);
  field(MessageField::kArguments, "args", EventFieldType::kList);
  field(MessageField::kNamed, "named", EventFieldType::kObject);
  field(MessageField::kTime, "time", EventFieldType::kInt);
  field(MessageField::kStream, "stream", EventFieldType::kText);
  field(MessageField::kEvent, "event", EventFieldType::kText);
  return schema;
}

namespace {

void AppendText(std::string_view name, std::string_view text, std::string& out) {
  if (text.empty()) return;
  if (out.back() != '{') out.push_back(',');
  AppendJsonString(name, out);
  out.push_back(':');
  AppendJsonString(text, out);
}

}  // namespace

void AppendMessageJson(const EntityMessage& message, std::string& out) {
  out.push_back('{');
  AppendText("class", message.prefix, out);
  AppendText("key", message.key, out);
  AppendText("method", message.method, out);
  out.append(",\"args\":").append(message.arguments_json);
  if (!message.named_json.empty()) out.append(",\"named\":").append(message.named_json);
  if (message.time_ms != kNoTime) {
    out.append(",\"time\":").append(std::to_string(message.time_ms));
  }
  out.push_back('}');
}

void AppendMessageJson(const EventAgain& again, std::string& out) {
  out.push_back('{');
  AppendText("class", again.prefix, out);
  AppendText("key", again.key, out);
  AppendText("method", again.handler, out);
  AppendText("stream", again.stream, out);
  AppendText("event", again.event, out);
  out.push_back('}');
}

}  // namespace bettong::grid
