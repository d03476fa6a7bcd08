// The alerts of examples/alerts/alerts_windows.py with a handler in C++, from a topic to a topic:
// what the engine takes without an interpreter. bench/kafka.py starts it.
//   bench_kafka BROKERS EVENTS_TOPIC ALERTS_TOPIC COUNT EXACTLY_ONCE(0|1) DATA_DIRECTORY
//   bench_kafka --smoke                        against librdkafka's imitation of a broker
#include <absl/strings/str_cat.h>
#include <librdkafka/rdkafka.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "base/check.h"
#include "compute/inline_host.h"
#include "ingest/kafka/mock_brokers.h"
#include "server/node.h"

namespace bettong {
namespace {

using compute::InlineTurn;
using grid::EventFieldType;

constexpr int64_t kMinuteMs = 60'000;
constexpr uint64_t kEnough = 10;  // events before a mean counts
constexpr int64_t kLimit = 700;   // tenths
constexpr int64_t kTtlMs = 10 * kMinuteMs;
enum Field : size_t { kTumbling, kSliding, kAlertedTumbling, kAlertedSliding };
enum Slot : size_t { kKey, kTs, kValue };

void Alert(InlineTurn& turn, const char* kind, TimeMs ts, size_t window, size_t alerted) {
  if (turn.Window(window).CurrentCount() < kEnough) return;
  const grid::WindowView view = turn.Window(window).Current();
  const auto count = static_cast<int64_t>(view.totals.count);
  const auto sum = static_cast<int64_t>(view.totals.int_sum);
  if (sum <= kLimit * count || view.end_ms == turn.Int(alerted)) return;
  turn.SetInt(alerted, view.end_ms);
  turn.Emit("alerts", absl::StrCat("{\"key\":\"", std::string(turn.key()), "\",\"t\":\"", kind,
                                   "\",\"w\":", view.start_ms, ",\"ts\":", ts, ",\"n\":", count,
                                   ",\"sum\":", sum,
                                   ",\"max\":", static_cast<int64_t>(view.totals.max), "}"));
}

void Sample(InlineTurn& turn) {
  const grid::EventRecord& event = *turn.event();
  const auto value = static_cast<int64_t>(std::floor(event.Float(kValue) * 10 + 0.5));
  turn.AddToWindow(kTumbling, value, event.time_ms);
  turn.AddToWindow(kSliding, value, event.time_ms);
  Alert(turn, "T", event.Int(kTs), kTumbling, kAlertedTumbling);
  Alert(turn, "S", event.Int(kTs), kSliding, kAlertedSliding);
}

grid::FieldSchema Window(const char* name, grid::WindowKind kind, int64_t pane_ms) {
  return {.name = name,
          .type = grid::FieldType::kWindow,
          .window = {.kind = kind,
                     .is_float = false,
                     .keeps = grid::kKeepSum | grid::kKeepMax,
                     .size_ms = 5 * kMinuteMs,
                     .pane_ms = pane_ms}};
}

std::unique_ptr<compute::TurnHost> MakeAlerts(std::shared_ptr<grid::Catalog> catalog) {
  grid::StreamSchema& events = catalog->streams.emplace_back();
  events.name = "events";
  events.event.name = "Sample";
  events.event.fields = {{.name = "key", .type = EventFieldType::kText},
                         {.name = "ts", .type = EventFieldType::kInt},
                         {.name = "value", .type = EventFieldType::kFloat}};
  events.event.time_field = kTs;
  catalog->streams.emplace_back().name = "alerts";
  grid::ClassSchema& host = catalog->classes.emplace_back();
  host.name = "Host";
  host.prefix = "host";
  host.row.fields = {Window("tumbling", grid::WindowKind::kTumbling, 5 * kMinuteMs),
                     Window("sliding", grid::WindowKind::kSliding, kMinuteMs),
                     {.name = "alerted_tumbling"},
                     {.name = "alerted_sliding"}};
  host.ttl_ms = kTtlMs;
  host.clock = grid::TtlClock::kEvent;
  grid::HandlerSchema& handler = host.handlers.emplace_back();
  handler.stream = StreamId(0);
  handler.method = "sample";
  handler.key.field_name = "key";
  handler.key.field = kKey;
  auto code = std::make_unique<compute::InlineHost>(catalog);
  code->Define(ClassId(0), grid::TurnKind::kEvent, 0, Sample);
  return code;
}

double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

struct Run {
  std::string brokers, events, alerts, data;
  uint64_t count = 0;
  bool exactly_once = false;
};

// Until all has been read and written.
void Read(const Run& run) {
  server::NodeConfig config;
  config.shards = 2;
  config.resp_enabled = config.http_enabled = false;
  config.data_dir = run.data;
  ingest::SourceConfig& source = config.sources.emplace_back();
  source.name = source.stream = "events";
  source.kind = ingest::SourceKind::kKafka;
  source.kafka.client.brokers = run.brokers;
  source.kafka.topics = {run.events};
  ingest::SinkConfig& sink = config.sinks.emplace_back();
  sink.name = sink.stream = "alerts";
  sink.kind = ingest::SinkKind::kKafka;
  sink.kafka.client.brokers = run.brokers;
  sink.kafka.topic = run.alerts;
  sink.kafka.key = "key";
  sink.kafka.exactly_once = run.exactly_once;

  const double cpu_before = CpuSeconds();
  auto node = server::Node::Make(std::move(config), {}, MakeAlerts);
  absl::Status status = node.status();
  if (status.ok()) status = (*node)->Open();
  if (!status.ok()) std::fprintf(stderr, "bench_kafka: %s\n", status.ToString().c_str());
  BETTONG_CHECK(status.ok());
  const auto begin = std::chrono::steady_clock::now();
  (*node)->Start();
  while ((*node)->EventsAdmitted() < run.count) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  BETTONG_CHECK((*node)->WaitUntilIdle(std::chrono::minutes(1)));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const auto count = static_cast<double>(run.count);
  std::printf("events_per_s=%.0f cpu_s_per_million=%.2f outputs=%llu\n", count / seconds.count(),
              (CpuSeconds() - cpu_before) / count * 1e6,
              static_cast<unsigned long long>((*node)->Totals().outputs));
  (*node)->Stop();
}

void Smoke() {
  constexpr uint64_t kEvents = 2'000;
  auto brokers = ingest::MockBrokers::Make(1);
  BETTONG_CHECK(brokers.ok());
  BETTONG_CHECK((*brokers)->CreateTopic("events", 2).ok());
  BETTONG_CHECK((*brokers)->CreateTopic("alerts", 2).ok());
  ingest::KafkaClientConfig config{.brokers = (*brokers)->addresses(), .options = {}};
  auto producer =
      ingest::KafkaClient::Make(config, {.role = ingest::KafkaRole::kProducer}, "bench", nullptr);
  BETTONG_CHECK(producer.ok());
  for (uint64_t i = 0; i < kEvents; ++i) {
    std::string line = absl::StrCat("{\"key\":\"h", i % 20, "\",\"ts\":", 1'700'000'000'000 + i,
                                    ",\"value\":90.5}");
    rd_kafka_producev((*producer)->handle(), RD_KAFKA_V_TOPIC("events"),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                      RD_KAFKA_V_VALUE(line.data(), line.size()), RD_KAFKA_V_END);
  }
  BETTONG_CHECK(rd_kafka_flush((*producer)->handle(), 30'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
  const std::string data = absl::StrCat("bench_kafka-", ::getpid());
  Read({.brokers = (*brokers)->addresses(),
        .events = "events",
        .alerts = "alerts",
        .data = data,
        .count = kEvents});
  std::filesystem::remove_all(data);
}

}  // namespace
}  // namespace bettong

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--smoke") {
    bettong::Smoke();
    return 0;
  }
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: bench_kafka BROKERS EVENTS ALERTS COUNT EXACTLY_ONCE DATA_DIRECTORY\n");
    return 2;
  }
  bettong::Read({.brokers = argv[1],
                 .events = argv[2],
                 .alerts = argv[3],
                 .data = argv[6],
                 .count = std::strtoull(argv[4], nullptr, 10),
                 .exactly_once = std::string(argv[5]) == "1"});
  return 0;
}
