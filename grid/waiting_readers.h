// Blocking reads that wait for a stream to grow: found by key, by deadline and by connection. Owned
// by the shard; each operation costs what it is about, however many wait.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/string_map.h"
#include "grid/owned_command.h"

namespace bettong::grid {

struct WaitingReader {
  std::unique_ptr<OwnedCommand> command;
  std::string timeout_reply;
  TimeMs deadline_ms = kNeverExpires;
  std::vector<std::string> keys;
};

class WaitingReaders {
 public:
  void Add(WaitingReader reader);

  bool WaitFor(std::string_view key) const { return by_key_.contains(key); }
  // Those who wait for the key, the oldest first.
  std::vector<uint64_t> OfKey(std::string_view key) const;
  // Nothing if it waits no longer.
  std::optional<WaitingReader> Take(uint64_t id);

  TimeMs NextDeadline() const {
    return by_deadline_.empty() ? kNeverExpires : by_deadline_.begin()->first;
  }
  // The one that is due first, if any is by `now_ms`.
  std::optional<WaitingReader> TakeDue(TimeMs now_ms);

  // Drops what the ticket's connection waits for.
  void Forget(const Ticket& ticket);

 private:
  using Connection = std::pair<ShardId, ConnectionId>;
  static Connection ConnectionOf(const Ticket& ticket) { return {ticket.home, ticket.connection}; }

  uint64_t next_id_ = 1;  // ids rise in the order of arrival
  std::map<uint64_t, WaitingReader> readers_;
  StringMap<std::set<uint64_t>> by_key_;
  std::set<std::pair<TimeMs, uint64_t>> by_deadline_;
  absl::flat_hash_map<Connection, std::set<uint64_t>> by_connection_;
};

}  // namespace bettong::grid
