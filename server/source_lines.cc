#include "server/source_lines.h"

#include <absl/strings/str_cat.h>

#include <chrono>
#include <string_view>

namespace bettong::server {
namespace {

std::string_view StateWord(ingest::KafkaState state) {
  switch (state) {
    case ingest::KafkaState::kStarting:
      return "starting";
    case ingest::KafkaState::kReading:
      return "reading";
    case ingest::KafkaState::kStopped:
      return "stopped";
  }
  return "";
}

void AddKafkaLines(const std::string& prefix, const ingest::KafkaSource& source,
                   std::vector<std::pair<std::string, std::string>>& lines) {
  const std::vector<ingest::KafkaSample> samples = source.Sample();
  // Nobody knows the whole before everything has been found.
  int64_t lag = source.found_all() ? 0 : -1;
  for (const auto& sample : samples) {
    lag = lag < 0 || sample.lag < 0 ? -1 : lag + sample.lag;
  }
  lines.emplace_back(prefix + "partitions", std::to_string(samples.size()));
  lines.emplace_back(prefix + "lag", std::to_string(lag));
  lines.emplace_back(prefix + "trouble", source.trouble());
  for (const auto& sample : samples) {
    const std::string name = absl::StrCat(prefix, sample.topic, "_", sample.partition);
    lines.emplace_back(
        name, absl::StrCat("position=", sample.position, ",end=", sample.end, ",lag=", sample.lag,
                           ",state=", std::string(StateWord(sample.state))));
    if (!sample.error.empty()) lines.emplace_back(name + "_error", sample.error);
  }
}

}  // namespace

void AddSourceLines(std::span<const SourceView> sources,
                    std::vector<std::pair<std::string, std::string>>& lines) {
  const auto now = ingest::AdmissionNotice::Clock::now();
  for (const SourceView& source : sources) {
    const std::string prefix = "source_" + source.name + "_";
    // Frames: what EventsAdmitted counts of this source.
    lines.emplace_back(prefix + "events", std::to_string(source.counters->frames.load()));
    lines.emplace_back(prefix + "dead_letters",
                       std::to_string(source.counters->dead_letters.load()));
    lines.emplace_back(prefix + "connections",
                       std::to_string(source.counters->connections_open.load()));
    lines.emplace_back(prefix + "admission",
                       ingest::DescribeAdmission(source.admission->admission()));
    lines.emplace_back(prefix + "outstanding", std::to_string(source.counters->outstanding.load()));
    lines.emplace_back(prefix + "pauses", std::to_string(source.admission->pauses()));
    const std::chrono::duration<double> paused = source.admission->PausedInAll(now);
    lines.emplace_back(prefix + "paused_seconds", absl::StrCat(paused.count()));
    if (source.kafka != nullptr) AddKafkaLines(prefix, *source.kafka, lines);
  }
}

}  // namespace bettong::server
