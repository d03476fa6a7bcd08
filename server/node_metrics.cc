#include "server/node_metrics.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/ascii.h"
#include "compute/python_host_loader.h"
#include "ingest/gate.h"

namespace bettong::server {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

// A family with one number a shard.
struct ShardFamily {
  std::string_view name;
  MetricType type;
  std::string_view help;
  uint64_t (*value)(const ShardSample& sample);
};

constexpr ShardFamily kShardFamilies[] = {
    {"bettong_keys", kGauge, "Keys that exist.", [](const ShardSample& s) { return s.keys; }},
    {"bettong_keys_with_deadline", kGauge, "Keys with a TTL.",
     [](const ShardSample& s) { return s.keys_with_deadline; }},
    {"bettong_memory_used_bytes", kGauge, "Data and what goes with it, as maxmemory counts it.",
     [](const ShardSample& s) { return s.used_memory_bytes; }},
    {"bettong_over_memory", kGauge, "1 while the shard is over its share of maxmemory.",
     [](const ShardSample& s) { return uint64_t{s.over_memory}; }},
    {"bettong_event_turns_total", kCounter,
     "Turns of events that have ended, failed ones included.",
     [](const ShardSample& s) { return s.stats.events; }},
    {"bettong_turns_failed_total", kCounter, "Turns that raised, timed out or could not begin.",
     [](const ShardSample& s) { return s.stats.turns_failed; }},
    {"bettong_outputs_total", kCounter, "Events emitted to streams, dead letters not counted.",
     [](const ShardSample& s) { return s.stats.outputs - s.stats.dead_letters; }},
    {"bettong_dead_letters_total", kCounter, "Entries written to bettong:dead-letters.",
     [](const ShardSample& s) { return s.stats.dead_letters; }},
    {"bettong_keys_expired_total", kCounter, "Keys whose TTL ended.",
     [](const ShardSample& s) { return s.stats.expired_keys; }},
    {"bettong_keyspace_hits_total", kCounter, "Reads of keys that existed.",
     [](const ShardSample& s) { return s.stats.keyspace_hits; }},
    {"bettong_keyspace_misses_total", kCounter, "Reads of keys that did not exist.",
     [](const ShardSample& s) { return s.stats.keyspace_misses; }},
    {"bettong_loans_outstanding", kGauge, "Turns lent to the compute lane and not back.",
     [](const ShardSample& s) { return s.stats.loans_outstanding; }},
    {"bettong_retries_pending", kGauge, "Keys that wait for a turn to be tried again.",
     [](const ShardSample& s) { return s.stats.retries_pending; }},
    {"bettong_repeats_dropped_total", kCounter,
     "Messages that came again after a crash and had had their effect.",
     [](const ShardSample& s) { return s.stats.repeats_dropped; }},
    {"bettong_deadline_records", kGauge, "Records in the timing wheels, stale ones included.",
     [](const ShardSample& s) { return s.stats.deadline_records; }},
};

constexpr ShardFamily kRespFamilies[] = {
    {"bettong_connections", kGauge, "Open connections of the RESP port.",
     [](const ShardSample& s) { return s.port.connections; }},
    {"bettong_connections_blocked", kGauge, "Of these waiting in a blocking command.",
     [](const ShardSample& s) { return s.port.blocked_connections; }},
    {"bettong_connections_memory_bytes", kGauge, "Memory of the connections and their buffers.",
     [](const ShardSample& s) { return s.port.connection_bytes; }},
    {"bettong_command_errors_total", kCounter,
     "Error replies. Starts anew at CONFIG RESETSTAT, as do the bytes.",
     [](const ShardSample& s) { return s.port.error_replies; }},
    {"bettong_resp_input_bytes_total", kCounter, "Bytes read by the RESP port.",
     [](const ShardSample& s) { return s.port.input_bytes; }},
    {"bettong_resp_output_bytes_total", kCounter, "Bytes written by the RESP port.",
     [](const ShardSample& s) { return s.port.output_bytes; }},
};

void Append(std::span<const ShardFamily> families, const ShardSamples& samples, MetricsText& out) {
  for (const ShardFamily& family : families) {
    out.Family(family.name, family.type, family.help);
    for (size_t shard = 0; shard < samples.size(); ++shard) {
      if (samples[shard]) {
        out.Sample({{"shard", std::to_string(shard)}}, family.value(*samples[shard]));
      }
    }
  }
}

constexpr std::pair<ingest::Admission, std::string_view> kAdmissions[] = {
    {ingest::Admission::kOpen, "open"},
    {ingest::Admission::kWindowFull, "window_full"},
    {ingest::Admission::kReloading, "reloading"},
    {ingest::Admission::kOverMemory, "over_memory"},
    {ingest::Admission::kOutboxFull, "outbox_full"},
    {ingest::Admission::kDiskFull, "disk_full"},
    {ingest::Admission::kLogBehind, "log_behind"},
};

// What goes away meanwhile counts as nothing.
uint64_t DirectoryBytes(const std::string& path) {
  namespace fs = std::filesystem;
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (!at->is_regular_file(gone)) continue;
    const uintmax_t size = at->file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

}  // namespace

ShardSample SampleShard(const NodeView& node, grid::ShardLoop& loop) {
  const grid::Shard& shard = loop.shard();
  ShardSample sample;
  sample.stats = shard.stats();
  sample.keys = shard.key_count();
  sample.keys_with_deadline = shard.keys_with_deadline();
  const grid::Catalog& catalog = loop.catalog();
  for (size_t i = 0; i < catalog.classes.size(); ++i) {
    const grid::ClassSchema& entity_class = catalog.classes[i];
    if (entity_class.retired) continue;
    const ClassId id(static_cast<uint16_t>(i));
    const uint64_t entities = shard.entity_count(id);
    sample.classes.push_back({.name = entity_class.name,
                              .entities = entities,
                              .row_bytes = entities * entity_class.row.row_bytes(),
                              .container_bytes = shard.container_bytes(id)});
  }
  const ingest::Gate& gate = *node.doors[loop.id().value()].gate;
  for (size_t i = 0; i < catalog.streams.size(); ++i) {
    const uint64_t late = gate.late(StreamId(static_cast<uint16_t>(i)));
    if (late > 0) sample.late_events.emplace_back(catalog.streams[i].name, late);
  }
  sample.used_memory_bytes = shard.used_memory_bytes();
  sample.over_memory = shard.over_memory();
  if (loop.log() != nullptr) sample.held_effects = loop.log()->held();
  if (node.resp != nullptr) sample.port = node.resp->Sample(loop.id());
  return sample;
}

void AppendShardMetrics(const NodeView& node, const ShardSamples& samples, MetricsText& out) {
  out.Family("bettong_shard_up", kGauge,
             "1 if the shard's thread answered this scrape; its numbers are missing otherwise.");
  for (size_t shard = 0; shard < samples.size(); ++shard) {
    out.Sample({{"shard", std::to_string(shard)}}, uint64_t{samples[shard].has_value()});
  }
  Append(kShardFamilies, samples, out);
  constexpr struct {
    std::string_view name, help;
    uint64_t ShardSample::Class::*value;
  } kClassFamilies[] = {
      {"bettong_entities", "Entities that exist, by class.", &ShardSample::Class::entities},
      {"bettong_entity_row_bytes",
       "Rows of entities, by class; keys and texts that do not fit into a row not counted.",
       &ShardSample::Class::row_bytes},
      {"bettong_entity_container_bytes", "Containers of entities (lists, maps, windows), by class.",
       &ShardSample::Class::container_bytes},
  };
  for (const auto& family : kClassFamilies) {
    out.Family(family.name, kGauge, family.help);
    for (size_t shard = 0; shard < samples.size(); ++shard) {
      if (!samples[shard]) continue;
      for (const ShardSample::Class& entity_class : samples[shard]->classes) {
        out.Sample({{"shard", std::to_string(shard)}, {"class", entity_class.name}},
                   entity_class.*family.value);
      }
    }
  }
  out.Family("bettong_events_admitted_total", kCounter,
             "Events that sources read and clients added, each once, decoded or dead-lettered.");
  for (const ingest::ShardDoor& door : node.doors) {
    out.Sample({{"shard", std::to_string(door.shard->id().value())}}, door.gate->admitted());
  }
  out.Family("bettong_events_late_total", kCounter,
             "Events older than the watermark of their stream when they came.");
  for (size_t shard = 0; shard < samples.size(); ++shard) {
    if (!samples[shard]) continue;
    for (const auto& [stream, late] : samples[shard]->late_events) {
      out.Sample({{"shard", std::to_string(shard)}, {"stream", stream}}, late);
    }
  }
  const auto too_old = node.too_old->Counts();
  if (!too_old.empty()) {
    out.Family("bettong_events_too_old_total", kCounter,
               "Events dropped because they were older than their stream's max_age.");
    for (const auto& [stream, events] : too_old) out.Sample({{"stream", stream}}, events);
  }
  out.Family("bettong_event_latency_seconds", MetricType::kHistogram,
             "From an event's decoding to the end of its turn; measured a batch at a time.");
  for (const grid::ShardLoop* shard : node.shards) {
    out.Sample({{"shard", std::to_string(shard->id().value())}},
               shard->metrics().event_latency_ns.counts(), kNsScale);
  }
  out.Family("bettong_expiry_lag_seconds", MetricType::kHistogram,
             "How late the shard carries out expiries by the wall clock.");
  for (grid::ShardLoop* shard : node.shards) {
    out.Sample({{"shard", std::to_string(shard->id().value())}},
               shard->shard().expiry_lag_ms().counts(), kMsScale);
  }
}

void AppendRespMetrics(const NodeView& node, const ShardSamples& samples, MetricsText& out) {
  if (node.resp == nullptr) return;
  Append(kRespFamilies, samples, out);
  out.Family("bettong_commands_total", kCounter, "Commands received, by name.");
  for (size_t shard = 0; shard < samples.size(); ++shard) {
    if (!samples[shard]) continue;
    for (const auto& [name, count] : samples[shard]->port.commands) {
      out.Sample({{"shard", std::to_string(shard)}, {"command", LowerCase(name)}}, count);
    }
  }
  out.Family("bettong_connections_accepted_total", kCounter, "Connections the RESP port accepted.");
  out.Sample({}, node.resp->connections_received());
  out.Family("bettong_connections_rejected_total", kCounter,
             "Connections refused because maxclients were open.");
  out.Sample({}, node.resp->connections_rejected());
}

void AppendLogMetrics(const NodeView& node, const ShardSamples& samples, MetricsText& out) {
  if (node.shards.empty() || node.shards[0]->log() == nullptr) return;
  const auto append = [&](std::string_view name, MetricType type, std::string_view help,
                          uint64_t (*value)(const grid::ShardLog&)) {
    out.Family(name, type, help);
    for (const grid::ShardLoop* shard : node.shards) {
      out.Sample({{"shard", std::to_string(shard->id().value())}}, value(*shard->log()));
    }
  };
  using Log = grid::ShardLog;
  append("bettong_log_written_bytes_total", kCounter, "Bytes written to the log.",
         [](const Log& log) { return log.stats().bytes.load(); });
  append("bettong_log_records_total", kCounter, "Records written to the log, markers included.",
         [](const Log& log) { return log.stats().records.load(); });
  append("bettong_log_undurable_bytes", kGauge, "Bytes that are recorded and not on disk yet.",
         [](const Log& log) { return uint64_t{log.undurable_bytes()}; });
  append("bettong_log_segments", kGauge, "Segments of the log that this start writes.",
         [](const Log& log) { return log.stats().segments.load(); });
  append("bettong_log_disk_full", kGauge, "1 while the log's disk is full.",
         [](const Log& log) { return uint64_t{log.full()}; });
  append("bettong_checkpoint_rounds_total", kCounter, "Rounds of the checkpoint that have ended.",
         [](const Log& log) { return log.rounds(); });
  out.Family("bettong_log_commit_seconds", MetricType::kHistogram,
             "Time of a group commit: written and synced (fdatasync).");
  for (const grid::ShardLoop* shard : node.shards) {
    out.Sample({{"shard", std::to_string(shard->id().value())}},
               shard->log()->stats().commit_ns.counts(), kNsScale);
  }
  out.Family("bettong_log_held_batches", kGauge,
             "Batches whose effects (outputs, credits, replies) wait until they are durable.");
  for (size_t shard = 0; shard < samples.size(); ++shard) {
    if (!samples[shard]) continue;
    out.Sample({{"shard", std::to_string(shard)}}, samples[shard]->held_effects);
  }
  out.Family("bettong_log_size_bytes", kGauge, "Size of all files of the data directory.");
  out.Sample({}, DirectoryBytes(node.data_dir));
}

void AppendLaneMetrics(const NodeView& node, MetricsText& out) {
  if (node.lane == nullptr) return;
  const grid::LaneMetrics& lane = node.lane->metrics();
  // Done before sent, so that the queue is never less than nothing.
  const uint64_t done = lane.loans_done.value();
  uint64_t sent = 0;
  for (const grid::ShardLoop* shard : node.shards) sent += shard->metrics().loans_sent.value();
  out.Family("bettong_lane_busy_seconds_total", kCounter,
             "Time the compute lane has spent in turns.");
  out.Sample({}, static_cast<double>(lane.busy_ns.value()) / 1e9);
  out.Family("bettong_lane_turns_total", kCounter,
             "Turns the lane has run: events, calls, expiries, key functions.");
  out.Sample({}, done);
  out.Family("bettong_lane_queue_turns", kGauge,
             "Turns at the lane: waiting, or in the slice at hand.");
  out.Sample({}, sent - done);
  out.Family("bettong_handler_latency_seconds", MetricType::kHistogram,
             "Time of a turn on the lane; the mean of each slice of up to 128 turns.");
  out.Sample({}, lane.turn_ns.counts(), kNsScale);
  out.Family("bettong_poison_suspects", kGauge,
             "Messages whose turn was under way when a process died, and has not ended since.");
  out.Sample({}, node.in_hand->suspects());
  out.Family("bettong_poison_turns_total", kCounter,
             "Turns that were not run, because two processes had died in them.");
  out.Sample({}, node.in_hand->refused());
  const std::vector<const compute::MethodCounters*> methods = node.turn_counters->All();
  const auto append = [&](std::string_view name, std::string_view help,
                          PublishedCounter compute::MethodCounters::*counter) {
    out.Family(name, kCounter, help);
    for (const compute::MethodCounters* method : methods) {
      const uint64_t count = (method->*counter).value();
      if (count == 0) continue;
      out.Sample({{"class", method->entity_class}, {"handler", method->method}}, count);
    }
  };
  append("bettong_turns_skipped_total", "Turns that raised and were skipped, as on_error says.",
         &compute::MethodCounters::skipped);
  append("bettong_turns_retried_total", "Turns that raised and were to be tried again.",
         &compute::MethodCounters::retried);
  append("bettong_slow_turns_total", "Turns that took longer than python.slow_handler.",
         &compute::MethodCounters::slow);
  out.Family("bettong_slow_turns_seconds_total", kCounter, "Time of these turns.");
  for (const compute::MethodCounters* method : methods) {
    if (method->slow.value() == 0) continue;
    out.Sample({{"class", method->entity_class}, {"handler", method->method}},
               static_cast<double>(method->slow_ms.value()) / 1e3);
  }
  append("bettong_events_over_limit_total", "Events beyond the rate that their handler takes.",
         &compute::MethodCounters::over_limit);
}

void AppendPythonMetrics(const NodeView& node, MetricsText& out) {
  const compute::PythonMemoryUse memory = compute::MemoryOfPython();
  if (node.lane == nullptr || memory.held_bytes == 0) return;
  out.Family("bettong_python_memory_bytes", kGauge, "What Python holds, numpy's arrays included.");
  out.Sample({}, memory.held_bytes);
  out.Family("bettong_python_memory_limit_bytes", kGauge,
             "The most that Python may hold (python.memory_limit); 0: no limit.");
  out.Sample({}, memory.limit_bytes);
  out.Family("bettong_python_memory_refused_total", kCounter,
             "Allocations of Python that the limit has not let through.");
  out.Sample({}, memory.refused);
}

// Of each partition of topics that sources read.
void AppendKafkaMetrics(const NodeView& node, MetricsText& out) {
  std::vector<std::pair<std::string, ingest::KafkaSample>> samples;
  for (const SourceView& source : node.sources) {
    if (source.kafka == nullptr) continue;
    for (ingest::KafkaSample& sample : source.kafka->Sample()) {
      samples.emplace_back(source.name, std::move(sample));
    }
  }
  const auto append = [&](std::string_view name, std::string_view help,
                          int64_t (*value)(const ingest::KafkaSample&)) {
    out.Family(name, kGauge, help);
    for (const auto& [source, sample] : samples) {
      const int64_t known = value(sample);
      if (known < 0) continue;
      out.Sample({{"source", source},
                  {"topic", sample.topic},
                  {"partition", std::to_string(sample.partition)}},
                 static_cast<uint64_t>(known));
    }
  };
  append("bettong_source_partition_position", "Offset up to which everything is done and durable.",
         [](const ingest::KafkaSample& sample) { return sample.position; });
  append("bettong_source_partition_end", "Offset of the partition's next record, as last heard.",
         [](const ingest::KafkaSample& sample) { return sample.end; });
  append("bettong_source_partition_lag", "Records between the two.",
         [](const ingest::KafkaSample& sample) { return sample.lag; });
  append("bettong_source_partition_stopped",
         "1: the partition is not read, and INFO says why (source_NAME_TOPIC_PARTITION_error).",
         [](const ingest::KafkaSample& sample) {
           return int64_t{sample.state == ingest::KafkaState::kStopped};
         });
}

void AppendSourceMetrics(const NodeView& node, MetricsText& out) {
  if (node.sources.empty()) return;
  const auto append = [&](std::string_view name, MetricType type, std::string_view help,
                          uint64_t (*value)(const ingest::SourceCounters&)) {
    out.Family(name, type, help);
    for (const SourceView& source : node.sources) {
      out.Sample({{"source", source.name}}, value(*source.counters));
    }
  };
  using Counters = ingest::SourceCounters;
  append("bettong_source_bytes_total", kCounter, "Bytes read.",
         [](const Counters& c) { return c.bytes.load(); });
  append("bettong_source_frames_total", kCounter, "Lines or frames read, good or bad.",
         [](const Counters& c) { return c.frames.load(); });
  append("bettong_source_events_total", kCounter, "Events decoded.",
         [](const Counters& c) { return c.events.load(); });
  append("bettong_source_dead_letters_total", kCounter, "Frames and events refused.",
         [](const Counters& c) { return c.dead_letters.load(); });
  append("bettong_source_connections_total", kCounter, "Connections accepted.",
         [](const Counters& c) { return c.connections.load(); });
  append("bettong_source_connections", kGauge, "Connections open.",
         [](const Counters& c) { return static_cast<uint64_t>(c.connections_open.load()); });
  out.Family("bettong_source_admission", kGauge,
             "1 for the state the source is in: read, or held back, and why.");
  for (const SourceView& source : node.sources) {
    for (const auto& [admission, state] : kAdmissions) {
      out.Sample({{"source", source.name}, {"state", state}},
                 uint64_t{source.admission->admission() == admission});
    }
  }
  out.Family("bettong_source_outstanding_events", kGauge,
             "Turns of the source's events and entries of views that are still to be.");
  for (const SourceView& source : node.sources) {
    const int64_t outstanding = source.counters->outstanding.load();
    out.Sample({{"source", source.name}}, static_cast<uint64_t>(std::max<int64_t>(0, outstanding)));
  }
  out.Family("bettong_source_pauses_total", kCounter,
             "How often connections of the source were not read, for whatever reason.");
  for (const SourceView& source : node.sources) {
    out.Sample({{"source", source.name}}, source.admission->pauses());
  }
  out.Family("bettong_source_paused_seconds_total", kCounter,
             "Time in which a connection of the source was not read, and why.");
  const auto now = ingest::AdmissionNotice::Clock::now();
  for (const SourceView& source : node.sources) {
    for (const auto& [admission, state] : kAdmissions) {
      if (admission == ingest::Admission::kOpen) continue;
      const std::chrono::duration<double> paused = source.admission->Paused(admission, now);
      out.Sample({{"source", source.name}, {"state", state}}, paused.count());
    }
  }
  AppendKafkaMetrics(node, out);
}

void AppendSinkMetrics(const NodeView& node, MetricsText& out) {
  out.Family("bettong_outbox_pending_bytes", kGauge,
             "Outputs of the shard that not all their sinks have written.");
  for (const grid::ShardLoop* shard : node.shards) {
    out.Sample({{"shard", std::to_string(shard->id().value())}},
               uint64_t{node.sinks->BytesPending(shard->id())});
  }
  const std::vector<ingest::SinkSample> sinks = node.sinks->Sample();
  if (sinks.empty()) return;
  out.Family("bettong_sink_pending_bytes", kGauge, "Bytes given to the sink and not written.");
  for (const auto& sink : sinks) out.Sample({{"sink", sink.name}}, sink.bytes_pending);
  out.Family("bettong_sink_written_bytes_total", kCounter,
             "Bytes the sink has written, or found written after a recovery.");
  for (const auto& sink : sinks) out.Sample({{"sink", sink.name}}, sink.bytes_written);
}

std::string NodeMetrics(const NodeView& node, const ShardSamples& samples) {
  MetricsText out;
  AppendProcessMetrics(node, out);
  if (!samples.empty()) {
    AppendShardMetrics(node, samples, out);
    AppendRespMetrics(node, samples, out);
    AppendLogMetrics(node, samples, out);
    AppendLaneMetrics(node, out);
    AppendPythonMetrics(node, out);
    AppendSourceMetrics(node, out);
    AppendSinkMetrics(node, out);
  }
  return out.Take();
}

}  // namespace bettong::server
