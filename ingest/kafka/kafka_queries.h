// What brokers are asked about topics. Each call waits for an answer, for kKafkaQueryMs at most:
// for a source's control thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/config.h"
#include "ingest/kafka/kafka_client.h"

namespace bettong::ingest {

inline constexpr int kKafkaQueryMs = 1'000;

struct KafkaTopic {
  std::string name;
  int32_t partitions = 0;
  std::string error;     // instead of partitions: why it cannot be read
  bool missing = false;  // ... it is not there
};

// The topics of these names, then those that match a pattern ("^...") and are nobody's internals.
absl::StatusOr<std::vector<KafkaTopic>> FindKafkaTopics(const KafkaClient& client,
                                                        const std::vector<std::string>& names);
// What is wrong with these names; ok: nothing.
absl::Status CheckKafkaTopics(const std::vector<std::string>& names);

struct KafkaRange {
  int64_t low = 0;   // the first record there is
  int64_t high = 0;  // where the next one will be
};
absl::StatusOr<KafkaRange> FindKafkaRange(const KafkaClient& client, const std::string& topic,
                                          int32_t partition);

// Where a partition begins of which the log knows nothing.
absl::StatusOr<int64_t> FindKafkaStart(const KafkaClient& client, const KafkaSourceConfig& config,
                                       const std::string& topic, int32_t partition,
                                       const KafkaRange& range);

}  // namespace bettong::ingest
