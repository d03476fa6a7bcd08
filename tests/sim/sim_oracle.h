// What must be found at the end of a schedule, given what was sent.
#pragma once

#include <string>
#include <string_view>

#include "tests/sim/sim_app.h"
#include "tests/sim/sim_node.h"

namespace bettong::sim {

// In the lines of the sink: each result once, in order, right. Empty, or what is wrong.
std::string CheckOutputs(const Expected& expected, std::string_view lines);
// In the node: balances, counts; no session is left, nor any visit but one.
std::string CheckState(const Expected& expected, SimNode& node);

}  // namespace bettong::sim
