// `bettong top`: what a node is doing, from two looks at its metrics.
#pragma once

#include <string>

#include "server/metrics_page.h"

namespace bettong::server {

// A screen for a terminal: what changed from one page to the other, and what is.
std::string TopScreen(const std::string& where, const MetricsPage& before,
                      const MetricsPage& after);

}  // namespace bettong::server
