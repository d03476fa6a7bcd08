#include "tests/sim/sim_parts.h"

#include <absl/strings/str_cat.h>

#include "base/check.h"

namespace bettong::sim {

int64_t OutputLine::Int(std::string_view name) const {
  const auto at = ints.find(name);
  return at == ints.end() ? -1 : at->second;
}

std::string_view OutputLine::Text(std::string_view name) const {
  const auto at = texts.find(name);
  return at == texts.end() ? std::string_view() : at->second;
}

grid::EventField Field(const char* name, grid::EventFieldType type) {
  grid::EventField field;
  field.name = name;
  field.type = type;
  return field;
}

grid::StreamSchema& AddStream(grid::Catalog& catalog, const char* name,
                              std::vector<grid::EventField> fields, int time_field) {
  grid::StreamSchema& stream = catalog.streams.emplace_back();
  stream.name = name;
  stream.event.name = absl::StrCat(name, "Event");
  stream.event.fields = std::move(fields);
  if (time_field >= 0) stream.event.time_field = static_cast<size_t>(time_field);
  return stream;
}

grid::ClassSchema& AddClass(grid::Catalog& catalog, const char* name) {
  grid::ClassSchema& made = catalog.classes.emplace_back();
  made.name = name;
  made.prefix = grid::SnakeCase(name);
  return made;
}

grid::HandlerSchema& AddHandler(const grid::Catalog& catalog, grid::ClassSchema& entity_class,
                                std::string_view stream, const char* method) {
  grid::HandlerSchema& made = entity_class.handlers.emplace_back();
  const grid::StreamSchema* of = catalog.FindStream(stream, &made.stream);
  BETTONG_CHECK(of != nullptr);
  made.method = method;
  made.key.field_name = of->event.fields[0].name;
  made.key.field = 0;
  return made;
}

grid::FailurePolicy RetryPolicy(uint16_t retries_max, uint32_t backoff_ms) {
  return {.kind = grid::FailurePolicy::Kind::kRetry,
          .retries_max = retries_max,
          .backoff_ms = backoff_ms};
}

void Bad(compute::InlineTurn& turn, const std::string& what) {
  turn.Emit("out", absl::StrCat("{\"bad\":\"", std::string(turn.key()), ": ", what, "\"}"));
}

}  // namespace bettong::sim
