// Events that were older than their stream's max_age when they came in, and were dropped: how many
// of each stream, and one line on the log when a burst of them begins.
//
// One per node, shared by the gates of all shards: thread-safe. A gate tells of them once a read.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "grid/catalog.h"
#include "ingest/config.h"

namespace bettong::ingest {

// A burst is over when none has been dropped for so long.
inline constexpr int64_t kTooOldQuietMs = 10'000;

class TooOldEvents {
 public:
  // Of the catalog it keeps what it needs.
  TooOldEvents(const grid::Catalog& catalog, LogLine log);
  // The node has another catalog, with the same ids.
  void SetCatalog(const grid::Catalog& catalog);

  // So many more have been dropped; the oldest of them was `age_ms` old.
  void Add(StreamId stream, uint64_t events, int64_t age_ms, TimeMs now_ms);

  // By stream, of those that have a max_age.
  std::vector<std::pair<std::string, uint64_t>> Counts() const;
  // The same for INFO.
  std::vector<std::pair<std::string, std::string>> InfoLines() const;

 private:
  struct Stream {
    std::string name;
    int64_t max_age_ms = 0;
    uint64_t events = 0;
    TimeMs last_ms = kNoTime;  // when some were dropped
  };

  const LogLine log_;
  mutable std::mutex mutex_;
  std::map<StreamId, Stream> streams_;  // that have a max_age, or had one
};

}  // namespace bettong::ingest
