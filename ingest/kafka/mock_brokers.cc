#include "ingest/kafka/mock_brokers.h"

#include <absl/strings/str_cat.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <utility>

namespace bettong::ingest {

absl::StatusOr<std::unique_ptr<MockBrokers>> MockBrokers::Make(int count) {
  KafkaClientSettings settings;
  settings.role = KafkaRole::kProducer;
  // The handle that they belong to talks to nobody.
  auto client = KafkaClient::Make({.brokers = "127.0.0.1:1", .options = {}}, settings,
                                  "mock brokers", nullptr);
  if (!client.ok()) return client.status();
  rd_kafka_mock_cluster_t* cluster = rd_kafka_mock_cluster_new((*client)->handle(), count);
  if (cluster == nullptr) return absl::UnavailableError("librdkafka's mock cluster did not start");
  return std::unique_ptr<MockBrokers>(new MockBrokers(*std::move(client), cluster, count));
}

MockBrokers::MockBrokers(std::unique_ptr<KafkaClient> client, rd_kafka_mock_cluster_s* cluster,
                         int count)
    : client_(std::move(client)), cluster_(cluster), count_(count) {}

MockBrokers::~MockBrokers() { rd_kafka_mock_cluster_destroy(cluster_); }

std::string MockBrokers::addresses() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }

absl::Status MockBrokers::CreateTopic(const std::string& name, int32_t partitions) {
  const auto error =
      rd_kafka_mock_topic_create(cluster_, name.c_str(), partitions, std::min(count_, 3));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("topic '", name, "': ", rd_kafka_err2str(error)));
}

}  // namespace bettong::ingest
