// The bettong-stream sink's thread in the simulator: what ingest/stream_sink.h and
// stream_sink_link.h do with a thread and sockets, over wires: the real queue and session.
#pragma once

#include "ingest/sinks.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_receiver.h"

namespace bettong::sim {

ingest::StreamSinkMaker MakeSimStreamSink(Scheduler& scheduler, uint32_t who,
                                          SimReceiver& receiver);

}  // namespace bettong::sim
