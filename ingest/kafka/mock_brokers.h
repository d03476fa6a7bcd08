// librdkafka's imitation of brokers, on free ports of this machine: enough of Kafka's protocol for
// its own clients to try things with, and nothing of it outlives the process. Topics that are asked
// for are made.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "ingest/kafka/kafka_client.h"

struct rd_kafka_mock_cluster_s;

namespace bettong::ingest {

inline constexpr int kMockBrokersMax = 16;

class MockBrokers {
 public:
  static absl::StatusOr<std::unique_ptr<MockBrokers>> Make(int count);
  ~MockBrokers();
  MockBrokers(const MockBrokers&) = delete;
  MockBrokers& operator=(const MockBrokers&) = delete;

  // host:port,host:port
  std::string addresses() const;
  absl::Status CreateTopic(const std::string& name, int32_t partitions);
  // For tests: what goes wrong with them is librdkafka's to say (rdkafka_mock.h). Brokers count
  // from 1.
  rd_kafka_mock_cluster_s* cluster() const { return cluster_; }

 private:
  MockBrokers(std::unique_ptr<KafkaClient> client, rd_kafka_mock_cluster_s* cluster, int count);

  const std::unique_ptr<KafkaClient> client_;
  rd_kafka_mock_cluster_s* const cluster_;
  const int count_;
};

}  // namespace bettong::ingest
