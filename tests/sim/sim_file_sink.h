// The file sink's thread in the simulator: the real FileOutput over the simulated disk, at random
// moments.
#pragma once

#include "ingest/sinks.h"
#include "tests/sim/scheduler.h"

namespace bettong::sim {

ingest::FileSinkMaker MakeSimFileSink(Scheduler& scheduler, uint32_t who);

}  // namespace bettong::sim
