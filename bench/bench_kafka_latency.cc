// Events at a rate into a topic, and how old each alert is when a reader of committed records sees
// it in another. bench/kafka.py starts it beside a node.
//   bench_kafka_latency BROKERS EVENTS_TOPIC ALERTS_TOPIC PARTITIONS RATE SECONDS KEYS
//   bench_kafka_latency --smoke                against librdkafka's imitation of a broker
// The first third of the time is not counted: everybody warms up.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"
#include "ingest/kafka/kafka_client.h"
#include "ingest/kafka/mock_brokers.h"

namespace bettong {
namespace {

using ingest::KafkaClient;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::chrono::microseconds kPace{500};  // how often what is due is written
constexpr int kPollMs = 20;
constexpr int kFlushMs = 30'000;

struct Run {
  std::string brokers, events, alerts;
  int32_t partitions = 0;
  uint64_t rate = 0, seconds = 0, keys = 0;
};

double NowMs() { return Milliseconds(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::unique_ptr<KafkaClient> Client(const Run& run, ingest::KafkaRole role,
                                    ingest::TextPairs options) {
  auto client = KafkaClient::Make({.brokers = run.brokers, .options = {}},
                                  {.role = role, .defaults = std::move(options)}, "bench", nullptr);
  BETTONG_CHECK(client.ok());
  return *std::move(client);
}

// As many events a second, each with the time it was made at.
void Feed(const Run& run) {
  const auto client = Client(
      run, ingest::KafkaRole::kProducer,
      {{"linger.ms", "1"}, {"enable.idempotence", "true"}, {"partitioner", "murmur2_random"}});
  std::mt19937_64 random(1);
  std::string key, line;
  const auto begin = std::chrono::steady_clock::now();
  const uint64_t count = run.rate * run.seconds;
  for (uint64_t sent = 0; sent < count;) {
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - begin;
    const auto due = static_cast<uint64_t>(since.count() * static_cast<double>(run.rate));
    for (; sent < std::min(due, count); ++sent) {
      key = absl::StrCat("host", random() % run.keys);
      line = absl::StrFormat(R"({"key":"%s","ts":%d,"metric":"cpu","value":%.1f})", key,
                             static_cast<int64_t>(NowMs()),
                             40 + static_cast<double>(random() % 500) / 10);
      const auto error = rd_kafka_producev(client->handle(), RD_KAFKA_V_TOPIC(run.events.c_str()),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_VALUE(line.data(), line.size()),
                                           RD_KAFKA_V_KEY(key.data(), key.size()), RD_KAFKA_V_END);
      BETTONG_CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    rd_kafka_poll(client->handle(), 0);
    std::this_thread::sleep_for(kPace);
  }
  BETTONG_CHECK(rd_kafka_flush(client->handle(), kFlushMs) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

// When the event that raised an alert was made.
std::optional<int64_t> TimeOf(std::string_view alert) {
  constexpr std::string_view kField = "\"ts\":";
  const size_t at = alert.find(kField);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string rest(alert.substr(at + kField.size()));
  int64_t time = 0;
  if (!absl::SimpleAtoi(rest.substr(0, rest.find_first_not_of("0123456789")), &time)) {
    return std::nullopt;
  }
  return time;
}

// Of the alerts that come from then on, in milliseconds.
std::vector<double> ReadLateness(const Run& run, double from_ms, const std::atomic<bool>& done) {
  const auto client = Client(run, ingest::KafkaRole::kConsumer,
                             {{"fetch.wait.max.ms", "50"}, {"isolation.level", "read_committed"}});
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client->handle(), run.alerts.c_str(), nullptr);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client->handle());
  for (int32_t i = 0; i < run.partitions; ++i) {
    BETTONG_CHECK(rd_kafka_consume_start_queue(topic, i, RD_KAFKA_OFFSET_END, queue) == 0);
  }
  std::vector<double> late_ms;
  while (!done.load()) {
    rd_kafka_message_t* message = rd_kafka_consume_queue(queue, kPollMs);
    if (message == nullptr) continue;
    const double now = NowMs();
    const std::string_view text{static_cast<const char*>(message->payload), message->len};
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && now >= from_ms) {
      // Times are whole milliseconds, half of one too old at the mean.
      if (const auto time = TimeOf(text)) late_ms.push_back(now - static_cast<double>(*time) - 0.5);
    }
    rd_kafka_message_destroy(message);
  }
  for (int32_t i = 0; i < run.partitions; ++i) rd_kafka_consume_stop(topic, i);
  rd_kafka_queue_destroy(queue);
  rd_kafka_topic_destroy(topic);
  return late_ms;
}

void Measure(const Run& run) {
  std::atomic<bool> done{false};
  std::vector<double> late_ms;
  const double from_ms = NowMs() + static_cast<double>(run.seconds) * 1000 / 3;
  std::thread reader([&] { late_ms = ReadLateness(run, from_ms, done); });
  Feed(run);
  std::this_thread::sleep_for(std::chrono::seconds(1));  // what is under way
  done.store(true);
  reader.join();
  std::sort(late_ms.begin(), late_ms.end());
  BETTONG_CHECK(!late_ms.empty());
  const auto quantile = [&](double of) {
    const auto at = static_cast<size_t>(of * static_cast<double>(late_ms.size()));
    return late_ms[std::min(at, late_ms.size() - 1)];
  };
  std::printf("alerts=%zu p50_ms=%.1f p90_ms=%.1f p99_ms=%.1f p999_ms=%.1f max_ms=%.1f\n",
              late_ms.size(), quantile(0.5), quantile(0.9), quantile(0.99), quantile(0.999),
              late_ms.back());
}

// Events are read back as if they were alerts.
void Smoke() {
  auto brokers = ingest::MockBrokers::Make(1);
  BETTONG_CHECK(brokers.ok());
  BETTONG_CHECK((*brokers)->CreateTopic("events", 2).ok());
  Measure({.brokers = (*brokers)->addresses(),
           .events = "events",
           .alerts = "events",
           .partitions = 2,
           .rate = 500,
           .seconds = 1,
           .keys = 10});
}

}  // namespace
}  // namespace bettong

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--smoke") {
    bettong::Smoke();
    return 0;
  }
  bettong::Run run;
  if (argc != 8 || !absl::SimpleAtoi(argv[4], &run.partitions) ||
      !absl::SimpleAtoi(argv[5], &run.rate) || !absl::SimpleAtoi(argv[6], &run.seconds) ||
      !absl::SimpleAtoi(argv[7], &run.keys) || run.keys == 0) {
    std::fprintf(stderr,
                 "usage: bench_kafka_latency BROKERS EVENTS ALERTS PARTITIONS RATE SECONDS KEYS\n");
    return 2;
  }
  run.brokers = argv[1];
  run.events = argv[2];
  run.alerts = argv[3];
  bettong::Measure(run);
  return 0;
}
