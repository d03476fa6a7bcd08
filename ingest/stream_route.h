// What becomes of a stream's events: how they are decoded, which handlers they go to, and whether
// their event time matters to anybody. Made from the catalog; owned by a shard's gate.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/source_ref.h"
#include "grid/watermarks.h"
#include "ingest/event_decoder.h"
#include "ingest/json_document.h"

namespace bettong::ingest {

struct StreamRoute {
  struct Target {
    enum class To : uint8_t {
      kKeyField,     // the entity whose key is a field of the event
      kKeyFunction,  // those that the compute host computes keys of
      kFunction,     // a function, without a key
    };
    To to = To::kKeyField;
    ClassId entity_class;
    uint16_t handler = 0;  // kFunction: index into Catalog::functions
    size_t key = 0;        // kKeyField: the index for EventDecoder::Key
    std::string key_field;
    std::string key_prefix;  // of the Redis key, colon included
    uint64_t number = 0;     // grid::HandlerTarget
  };

  StreamRoute(const grid::Catalog& catalog, StreamId stream, JsonDocument& document);

  // The handler of this name in the class of this prefix; null: there is none.
  const Target* Find(const grid::Catalog& catalog, std::string_view prefix,
                     std::string_view method) const;

  StreamId stream;
  EventDecoder decoder;
  std::vector<Target> targets;
  std::vector<Target> late_targets;  // take late events in place of the others
  bool is_messages = false;          // its events are what entities send to each other
  bool refuses_late = false;         // late events become letters; no handler is there for them
  int64_t lateness_ms = 0;
  // The watermark beside the partition whose events are being routed, as of that version.
  grid::WatermarkBeside beside;
  grid::SourceRef beside_of;
  uint64_t beside_version = 0;
  bool uses_watermark = false;  // a handler's class has to do with event time
  bool has_key_functions = false;
  std::optional<int64_t> max_age_ms;  // of what comes in from outside
  uint64_t too_old = 0;               // events that were older, since the last flush
  int64_t too_old_age_ms = 0;         // the age of the oldest of them
  bool warned = false;                // that nobody handles the stream
};

}  // namespace bettong::ingest
