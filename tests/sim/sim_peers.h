// A part of the simulated app: entities that send each other messages, along routes of any length,
// also to themselves. To each receiver they number them; it emits whose and which it has got, and
// sends it on.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/scheduler.h"
#include "tests/sim/sim_parts.h"

namespace bettong::sim {

inline constexpr size_t kPeers = 6;

void DeclarePeers(grid::Catalog& catalog);
void DefinePeers(const grid::Catalog& catalog, compute::InlineHost& host);

// What has been sent, and what must come of it.
class Peers {
 public:
  // For the stream "talk", of the entities with numbers from `first` on, every other one.
  std::vector<std::string> MakeEvents(Scheduler& scheduler, size_t first, Letters& letters);

  std::string CheckOutputs(const OutputLines& lines) const;
  std::string CheckState(const Rows& rows) const;

 private:
  struct Peer {
    int64_t n = 0;  // the last event
    int64_t sent[kPeers] = {}, got[kPeers] = {};
  };
  std::string MakeRoute(Scheduler& scheduler, size_t from, bool counts, Letters& letters);

  Peer peers_[kPeers];
  int64_t specials_ = 0;  // events and messages that fail, ever
};

}  // namespace bettong::sim
