// The actors of a bettong-stream source on one shard: one for each name that its senders use.
// Owned by the source, on the shard's thread.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <string>
#include <vector>

#include "ingest/shard_door.h"
#include "ingest/source_actor.h"
#include "ingest/stream_actor.h"

namespace bettong::ingest {

// Names on one shard. Each is remembered for ever: more are denied.
inline constexpr size_t kStreamNamesMax = 10'000;
inline constexpr size_t kStreamNameBytesMax = 256;

class StreamActors final : public SourceActors {
 public:
  // `source` is the configured one's name.
  StreamActors(ShardDoor door, std::string source, StreamId stream, SourceCounters& counters,
               LogLine log);

  SourceActor* Find(std::string_view name) override;
  // Everything that was sent is done, and the log knows.
  bool idle() const;
  // Every sender that the log knew of when the node started is connected, and nothing of it is on
  // its way.
  bool caught_up() const;

 private:
  const ShardDoor door_;
  const std::string source_;
  const StreamId stream_;
  SourceCounters& counters_;
  const LogLine log_;
  std::vector<std::string> known_;  // senders' names at the start
  absl::flat_hash_map<std::string, std::unique_ptr<StreamActor>> actors_;
};

}  // namespace bettong::ingest
