// What the pages of the HTTP port may look at: the node's parts, which the node owns.
#pragma once

#include <string>
#include <vector>

#include "compute/turn_counters.h"
#include "compute/turn_in_hand.h"
#include "grid/runtime/lane.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/admission_notice.h"
#include "ingest/input_channel.h"
#include "ingest/kafka/kafka_source.h"
#include "ingest/shard_door.h"
#include "ingest/sinks.h"
#include "ingest/too_old_events.h"
#include "protocol/node_services.h"
#include "protocol/resp_server.h"
#include "server/readiness.h"

namespace bettong::server {

// A source of any kind; everything from any thread.
struct SourceView {
  std::string name;
  const ingest::SourceCounters* counters;
  const ingest::AdmissionNotice* admission;
  const ingest::KafkaSource* kafka = nullptr;  // of that kind only
};

struct NodeView {
  const Readiness* readiness = nullptr;
  const protocol::NodeIdentity* identity = nullptr;

  // Set before, and not touched by others until, readiness->shards_run().
  std::vector<grid::ShardLoop*> shards;
  std::vector<ingest::ShardDoor> doors;
  const ingest::TooOldEvents* too_old = nullptr;
  std::vector<SourceView> sources;
  std::string data_dir;
  const grid::Lane* lane = nullptr;  // null: no apps
  const compute::TurnInHand* in_hand = nullptr;
  const compute::TurnCounters* turn_counters = nullptr;
  const ingest::Sinks* sinks = nullptr;
  const protocol::RespServer* resp = nullptr;  // null: no RESP port
};

}  // namespace bettong::server
