// `bettong dev kafka`: brokers to try things with, without a JVM, until SIGTERM or SIGINT.
#include <absl/strings/str_cat.h>

#include <cstdio>

#include "base/number_text.h"
#include "ingest/kafka/mock_brokers.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/stop_signal.h"

namespace bettong::server {
namespace {

constexpr int32_t kPartitionsDefaultOfTopic = 4;
constexpr int64_t kPartitionsMaxOfTopic = 1'000;

// "metrics" or "metrics:8".
absl::Status CreateTopic(ingest::MockBrokers& brokers, const std::string& text) {
  const size_t colon = text.find(':');
  int32_t partitions = kPartitionsDefaultOfTopic;
  if (colon != std::string::npos) {
    const auto number = ParseInt(std::string_view(text).substr(colon + 1));
    if (!number || *number < 1 || *number > kPartitionsMaxOfTopic) {
      return absl::InvalidArgumentError(
          absl::StrCat("--topic ", text, ": expected NAME or NAME:N, ", "N partitions from 1 to ",
                       kPartitionsMaxOfTopic));
    }
    partitions = static_cast<int32_t>(*number);
  }
  return brokers.CreateTopic(text.substr(0, colon), partitions);
}

}  // namespace

int DevKafka(const DevKafkaArguments& arguments) {
  StopSignal stop;
  auto brokers = ingest::MockBrokers::Make(arguments.brokers);
  if (!brokers.ok()) return Fail(brokers.status());
  for (const std::string& topic : arguments.topics) {
    if (absl::Status status = CreateTopic(**brokers, topic); !status.ok()) return Fail(status);
  }
  std::fprintf(
      stderr,
      "dev kafka: an imitation, in memory: for trying things, not for data. Ctrl-C ends it\n"
      "ready brokers=%s\n",
      (*brokers)->addresses().c_str());
  stop.Wait();
  stop.ArmLimit();
  return kExitOk;
}

}  // namespace bettong::server
