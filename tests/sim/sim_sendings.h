// What the senders of a schedule send to the simulated app, and how that is set, as the seed
// decides.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/scheduler.h"
#include "tests/sim/sim_app.h"
#include "tests/sim/sim_node.h"

namespace bettong::sim {

AppOptions DrawApp(Scheduler& scheduler);

// By one sender, in order.
struct Sending {
  SourceNumber source;
  std::string sender;
  std::vector<std::string> events;
};
// What must come of it is noted in `expected`.
std::vector<Sending> DrawSendings(Scheduler& scheduler, const AppOptions& app, Expected& expected);

}  // namespace bettong::sim
