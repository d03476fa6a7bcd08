#include "ingest/stream_route.h"

#include <utility>

#include "grid/origin.h"

namespace bettong::ingest {
namespace {

const grid::HandlerSchema& HandlerOf(const grid::Catalog& catalog,
                                     const grid::Subscription& subscription) {
  return catalog.classes[subscription.entity_class.value()].handlers[subscription.handler];
}

std::vector<const grid::KeySpec*> KeyFields(const grid::Catalog& catalog,
                                            const grid::StreamSchema& stream) {
  std::vector<const grid::KeySpec*> keys;
  for (const grid::Subscription& subscription : stream.subscriptions) {
    const grid::KeySpec& key = HandlerOf(catalog, subscription).key;
    if (key.kind == grid::KeySpec::Kind::kField) keys.push_back(&key);
  }
  return keys;
}

}  // namespace

StreamRoute::StreamRoute(const grid::Catalog& catalog, StreamId stream_id, JsonDocument& document)
    : stream(stream_id),
      decoder(stream_id, catalog.streams[stream_id.value()].event,
              KeyFields(catalog, catalog.streams[stream_id.value()]), document) {
  const grid::StreamSchema& schema = catalog.streams[stream.value()];
  is_messages = stream == catalog.messages;
  max_age_ms = schema.max_age_ms;
  lateness_ms = schema.lateness_ms;
  uses_watermark = lateness_ms > 0 || schema.late_events != grid::LateEvents::kHandle;
  size_t keys = 0;
  for (const grid::Subscription& subscription : schema.subscriptions) {
    const grid::ClassSchema& entity_class = catalog.classes[subscription.entity_class.value()];
    const grid::HandlerSchema& handler = HandlerOf(catalog, subscription);
    const bool computes_keys = handler.key.kind == grid::KeySpec::Kind::kFunction;
    Target target{.to = computes_keys ? Target::To::kKeyFunction : Target::To::kKeyField,
                  .entity_class = subscription.entity_class,
                  .handler = subscription.handler,
                  .key_field = handler.key.field_name,
                  .key_prefix = entity_class.prefix + ":",
                  .number = grid::HandlerTarget(entity_class, handler)};
    if (!computes_keys) target.key = keys++;
    has_key_functions |= computes_keys;
    uses_watermark |= entity_class.uses_watermark || handler.late;
    (handler.late ? late_targets : targets).push_back(std::move(target));
  }
  for (const uint16_t function : schema.functions) {
    const bool late = catalog.functions[function].late;
    uses_watermark |= late;
    (late ? late_targets : targets)
        .push_back(Target{.to = Target::To::kFunction, .handler = function});
  }
  refuses_late = schema.late_events == grid::LateEvents::kDeadLetter && late_targets.empty();
}

const StreamRoute::Target* StreamRoute::Find(const grid::Catalog& catalog, std::string_view prefix,
                                             std::string_view method) const {
  for (const std::vector<Target>* all : {&targets, &late_targets}) {
    for (const Target& target : *all) {
      if (target.to == Target::To::kFunction) continue;
      const grid::ClassSchema& entity_class = catalog.classes[target.entity_class.value()];
      if (entity_class.prefix == prefix && entity_class.handlers[target.handler].method == method) {
        return &target;
      }
    }
  }
  return nullptr;
}

}  // namespace bettong::ingest
