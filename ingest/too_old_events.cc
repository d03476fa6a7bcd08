#include "ingest/too_old_events.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace bettong::ingest {

TooOldEvents::TooOldEvents(const grid::Catalog& catalog, LogLine log) : log_(std::move(log)) {
  SetCatalog(catalog);
}

void TooOldEvents::SetCatalog(const grid::Catalog& catalog) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < catalog.streams.size(); ++i) {
    const grid::StreamSchema& schema = catalog.streams[i];
    if (!schema.max_age_ms) continue;
    Stream& stream = streams_[StreamId(static_cast<uint16_t>(i))];
    stream.name = schema.name;
    stream.max_age_ms = *schema.max_age_ms;
  }
}

void TooOldEvents::Add(StreamId id, uint64_t events, int64_t age_ms, TimeMs now_ms) {
  std::lock_guard lock(mutex_);
  Stream& stream = streams_.at(id);
  const uint64_t before = std::exchange(stream.events, stream.events + events);
  const bool begins = stream.last_ms == kNoTime || now_ms - stream.last_ms >= kTooOldQuietMs;
  stream.last_ms = std::max(stream.last_ms, now_ms);
  if (!begins || !log_) return;
  log_(absl::StrCat("stream ", stream.name, ": events older than max_age (",
                    static_cast<double>(stream.max_age_ms) / 1000,
                    " s) come in and are dropped, the first ones up to ",
                    static_cast<double>(age_ms) / 1000, " s old",
                    before > 0 ? absl::StrCat("; ", before, " before") : "",
                    "; bettong_events_too_old_total counts them"));
}

std::vector<std::pair<std::string, uint64_t>> TooOldEvents::Counts() const {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, uint64_t>> counts;
  for (const auto& [id, stream] : streams_) counts.emplace_back(stream.name, stream.events);
  return counts;
}

std::vector<std::pair<std::string, std::string>> TooOldEvents::InfoLines() const {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& [name, events] : Counts()) {
    lines.emplace_back("stream_" + name + "_too_old", std::to_string(events));
  }
  return lines;
}

}  // namespace bettong::ingest
