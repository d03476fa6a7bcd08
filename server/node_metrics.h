// The node's metrics (docs/metrics.md). A scrape asks each shard's thread for one ShardSample; what
// is written by other threads is read where it lies. Each area is one function that appends its
// families.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "grid/shard.h"
#include "protocol/port_sample.h"
#include "server/metrics_text.h"
#include "server/node_view.h"

namespace bettong::server {

// One shard's numbers, as its own thread counts them.
struct ShardSample {
  grid::ShardStats stats;
  uint64_t keys = 0;
  uint64_t keys_with_deadline = 0;
  // Classes and streams as the shard knows them: a reload may bring others.
  struct Class {
    std::string name;
    uint64_t entities = 0;
    uint64_t row_bytes = 0;  // of them all
    uint64_t container_bytes = 0;
  };
  std::vector<Class> classes;
  std::vector<std::pair<std::string, uint64_t>> late_events;  // by stream, where there are some
  uint64_t used_memory_bytes = 0;
  bool over_memory = false;
  uint64_t held_effects = 0;  // batches' whose effects wait for the log
  protocol::PortSample port;
};
// By shard; nothing where the shard did not answer in time.
using ShardSamples = std::vector<std::optional<ShardSample>>;

// On the shard's thread.
ShardSample SampleShard(const NodeView& node, grid::ShardLoop& shard);

// What the process and the node's state are; good in any state of the node.
void AppendProcessMetrics(const NodeView& node, MetricsText& out);
// The rest, once the shards run.
void AppendShardMetrics(const NodeView& node, const ShardSamples& samples, MetricsText& out);
void AppendRespMetrics(const NodeView& node, const ShardSamples& samples, MetricsText& out);
void AppendLogMetrics(const NodeView& node, const ShardSamples& samples, MetricsText& out);
void AppendLaneMetrics(const NodeView& node, MetricsText& out);
void AppendSourceMetrics(const NodeView& node, MetricsText& out);
void AppendSinkMetrics(const NodeView& node, MetricsText& out);

// The whole page; without samples while the shards do not run.
std::string NodeMetrics(const NodeView& node, const ShardSamples& samples);

}  // namespace bettong::server
