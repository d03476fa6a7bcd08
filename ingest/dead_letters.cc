#include "ingest/dead_letters.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "base/utf8.h"
#include "grid/event.h"

namespace bettong::ingest {

void DeadLetters::Add(const DeadLetter& letter, grid::SourceRef origin) {
  pending_.push_back({shard_.catalog().dead_letters, DeadLetterJson(letter), origin});
}

void DeadLetters::Flush() {
  if (!pending_.empty()) shard_.Emit(std::exchange(pending_, {}));
}

std::string DeadLetterJson(const DeadLetter& letter) {
  std::string_view event = letter.event.substr(0, kDeadLetterEventBytesMax);
  const uint64_t event_bytes =
      letter.event_bytes != 0 ? letter.event_bytes : uint64_t{letter.event.size()};
  std::string json = "{\"class\":";
  grid::AppendJsonString(letter.about, json);
  json += ",\"key\":null,\"handler\":";
  if (letter.handler.empty()) {
    json += "null";
  } else {
    grid::AppendJsonString(letter.handler, json);
  }
  json += ",\"event\":";
  grid::AppendJsonString(event, json);
  // JSON has no room for bytes that are not UTF-8: they are kept beside their readable form.
  if (!IsUtf8(event)) {
    std::string encoded;
    absl::Base64Escape(absl::string_view(event.data(), event.size()), &encoded);
    absl::StrAppend(&json, ",\"event_base64\":\"", encoded, "\"");
  }
  json += ",\"state\":null,\"error\":";
  std::string error(letter.error);
  if (event.size() < event_bytes) {
    absl::StrAppend(&error, " (the first ", event.size(), " of ", event_bytes,
                    " bytes of the event are kept)");
  }
  grid::AppendJsonString(error, json);
  // There is no stack: the error is all there is to trace.
  json += ",\"traceback\":";
  grid::AppendJsonString(error, json);
  json += "}";
  return json;
}

}  // namespace bettong::ingest
