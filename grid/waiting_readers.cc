#include "grid/waiting_readers.h"

namespace bettong::grid {

void WaitingReaders::Add(WaitingReader reader) {
  uint64_t id = next_id_++;
  for (const std::string& key : reader.keys) by_key_[key].insert(id);
  if (reader.deadline_ms != kNeverExpires) by_deadline_.emplace(reader.deadline_ms, id);
  by_connection_[ConnectionOf(reader.command->ticket)].insert(id);
  readers_.emplace(id, std::move(reader));
}

std::vector<uint64_t> WaitingReaders::OfKey(std::string_view key) const {
  auto at = by_key_.find(key);
  if (at == by_key_.end()) return {};
  return {at->second.begin(), at->second.end()};
}

std::optional<WaitingReader> WaitingReaders::Take(uint64_t id) {
  auto at = readers_.find(id);
  if (at == readers_.end()) return std::nullopt;
  WaitingReader reader = std::move(at->second);
  readers_.erase(at);
  auto erase = [id](auto& index, const auto& key) {
    auto found = index.find(key);
    if (found == index.end()) return;
    found->second.erase(id);
    if (found->second.empty()) index.erase(found);
  };
  for (const std::string& key : reader.keys) erase(by_key_, key);
  by_deadline_.erase({reader.deadline_ms, id});
  erase(by_connection_, ConnectionOf(reader.command->ticket));
  return reader;
}

std::optional<WaitingReader> WaitingReaders::TakeDue(TimeMs now_ms) {
  if (NextDeadline() > now_ms || by_deadline_.empty()) return std::nullopt;
  return Take(by_deadline_.begin()->second);
}

void WaitingReaders::Forget(const Ticket& ticket) {
  auto at = by_connection_.find(ConnectionOf(ticket));
  if (at == by_connection_.end()) return;
  for (uint64_t id : std::set<uint64_t>(at->second)) Take(id);
}

}  // namespace bettong::grid
