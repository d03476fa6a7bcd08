#include "ingest/stream_actors.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/key_hash.h"

namespace bettong::ingest {

StreamActors::StreamActors(ShardDoor door, std::string source, StreamId stream,
                           SourceCounters& counters, LogLine log)
    : door_(door),
      source_(std::move(source)),
      stream_(stream),
      counters_(counters),
      log_(std::move(log)) {
  const std::string prefix = absl::StrCat("source:", source_, "/");
  for (const std::string& endpoint : door_.shard->shard().EndpointNames(prefix)) {
    known_.push_back(endpoint.substr(prefix.size()));
  }
}

SourceActor* StreamActors::Find(std::string_view name) {
  if (const auto found = actors_.find(std::string(name)); found != actors_.end()) {
    return found->second.get();
  }
  if (name.empty() || name.size() > kStreamNameBytesMax || actors_.size() >= kStreamNamesMax) {
    return nullptr;
  }
  const Slot home = SlotOfKey(name);
  std::string endpoint = absl::StrCat("source:", source_, "/", std::string(name));
  InputState state;
  if (const std::string* logged = door_.shard->shard().FindEndpoint(home, endpoint)) {
    const auto known = InputState::Decode(*logged);
    if (!known) {
      if (log_) {
        log_(absl::StrCat(endpoint,
                          ": the log holds a state of it that this program does not "
                          "know; its sender is denied"));
      }
      return nullptr;
    }
    state = *known;
  }
  auto actor = std::make_unique<StreamActor>(*door_.shard, *door_.gate, stream_, counters_,
                                             std::move(endpoint), home, state);
  return actors_.emplace(name, std::move(actor)).first->second.get();
}

bool StreamActors::caught_up() const {
  return std::all_of(known_.begin(), known_.end(), [this](const std::string& name) {
    const auto actor = actors_.find(name);
    return actor != actors_.end() && actor->second->connected() && actor->second->idle();
  });
}

bool StreamActors::idle() const {
  return std::all_of(actors_.begin(), actors_.end(),
                     [](const auto& each) { return each.second->idle(); });
}

}  // namespace bettong::ingest
