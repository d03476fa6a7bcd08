// The app that simulated nodes run, and what must come of it. Accounts send each other money by
// events; sessions live as long as ticks come, visits by the clock of their events; tallies count
// events under several keys each; a function passes on to relays what accounts are told; counters
// are called, and fed by clients. Of what comes to relays, one handler has every fourth, by its
// condition. Parts in files of their own: peers send messages (sim_peers.h),
// meters and gauges have windows (sim_meters.h, sim_gauges.h), reminders timers (sim_reminders.h).
// Every turn checks what it can and emits "bad" when it finds something that cannot be.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compute/turn_runner.h"
#include "grid/catalog.h"
#include "tests/sim/sim_gauges.h"
#include "tests/sim/sim_meters.h"
#include "tests/sim/sim_parts.h"
#include "tests/sim/sim_peers.h"
#include "tests/sim/sim_reminders.h"

namespace bettong::sim {

inline constexpr int64_t kSessionTtlMs = 150;
inline constexpr int64_t kMarkedEvery = 4;    // events of a relay
inline constexpr int64_t kVisitTtlMs = 500;   // of event time
inline constexpr char kLastVisit[] = "last";  // comes so late that all others are over

struct AppOptions {
  bool adds_are_durable = false;  // of the stream "feed", which clients add to
  // Of one entity so many events share a turn; 0: each has its own.
  uint32_t batch_max = 0;
  int64_t lateness_ms = 0;  // of samples
  GaugeOptions gauges;
};
std::shared_ptr<const grid::Catalog> MakeCatalog(const AppOptions& options);
std::unique_ptr<grid::ComputeHost> MakeHost(std::shared_ptr<const grid::Catalog> catalog);

// What the senders have sent, and so what must be found in the end.
struct Expected {
  struct Account {
    int64_t n = 0;              // the last event
    std::vector<int64_t> sent;  // sums, by event
    int64_t received = 0;       // amount
    int64_t receipts = 0;
  };
  struct Life {
    int64_t first = 0, last = 0;  // events
  };
  // What a client asked for: `durable` when the answer says that it survives.
  struct Counter {
    int64_t calls = 0, durable_calls = 0;
    std::vector<bool> fed;  // durable, by event
  };
  std::map<std::string, Account> accounts;
  std::map<std::string, int64_t> sessions;  // the last tick
  std::map<std::string, int64_t> tallies;
  std::map<std::string, std::vector<Life>> visits;
  std::map<std::string, Counter> counters;
  Letters letters;
  Peers peers;
  Meters meters;
  Gauges gauges;
  Reminders reminders{Reminders::Clock::kWall};
  Reminders dates{Reminders::Clock::kEvent};

  std::string Work(const std::string& key, const std::string& to, int64_t amount);
  std::string Failing(const std::string& key);
  std::string Garbage(uint64_t number);
  std::string Tick(const std::string& key);
  // In the order in which they are sent: times do not fall.
  std::string Visit(const std::string& key, int64_t at_ms);

 private:
  struct LastVisit {
    int64_t n = 0, at_ms = 0;
  };
  int64_t failing_ = 0;
  std::map<std::string, LastVisit> last_visits_;
};

}  // namespace bettong::sim
