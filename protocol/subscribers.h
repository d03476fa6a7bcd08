// Channels and patterns of one shard's sessions. Used on the shard's thread, count() on any.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <string_view>
#include <vector>

#include "base/string_map.h"
#include "grid/runtime/shard_loop.h"

namespace bettong::protocol {

class Session;

class LocalSubscribers final : public grid::Subscribers {
 public:
  // False: the session was subscribed (was not, for Remove) already.
  bool Add(Session& session, std::string_view name, bool pattern);
  bool Remove(Session& session, std::string_view name, bool pattern);
  void RemoveAll(Session& session);

  size_t Publish(std::string_view channel, std::string_view payload) override;
  void Flush() override;
  size_t count() const override { return count_.load(std::memory_order_relaxed); }

  // For PUBSUB.
  const auto& channels() const { return channels_; }
  const auto& patterns() const { return patterns_; }

 private:
  using Sessions = absl::flat_hash_set<Session*>;

  void Push(Session& session, std::string_view message);

  StringMap<Sessions> channels_;
  StringMap<Sessions> patterns_;
  std::atomic<size_t> count_{0};
  std::vector<Session*> pushed_;  // have messages that are not sent
};

}  // namespace bettong::protocol
