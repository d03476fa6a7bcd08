#include "ingest/kafka/kafka_testing.h"

#include <absl/strings/numbers.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <memory>
#include <set>

#include "ingest/kafka/kafka_client.h"

namespace bettong::ingest {
namespace {

std::unique_ptr<KafkaClient> Consumer(const MockBrokers& brokers, const std::string& group) {
  KafkaClientSettings settings;
  settings.role = KafkaRole::kConsumer;
  settings.fixed = {{"group.id", group},
                    {"isolation.level", "read_committed"},
                    {"enable.auto.commit", "false"},
                    {"enable.partition.eof", "true"},
                    {"fetch.wait.max.ms", "10"},
                    {"fetch.error.backoff.ms", "10"}};
  return KafkaClient::Make({.brokers = brokers.addresses(), .options = {}}, settings, "consumer",
                           nullptr)
      .value();
}

template <typename Number>
Number HeaderOf(const rd_kafka_message_t& message, const char* name) {
  rd_kafka_headers_t* headers = nullptr;
  const void* text = nullptr;
  size_t size = 0;
  uint64_t number = 0;
  EXPECT_EQ(rd_kafka_message_headers(&message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_EQ(rd_kafka_header_get_last(headers, name, &text, &size), RD_KAFKA_RESP_ERR_NO_ERROR);
  EXPECT_TRUE(absl::SimpleAtoi(std::string(static_cast<const char*>(text), size), &number));
  return static_cast<Number>(number);
}

}  // namespace

std::vector<WrittenOutput> ReadOutputs(const MockBrokers& brokers, const std::string& topic,
                                       int32_t partitions, size_t records_min) {
  const auto client = Consumer(brokers, "reader");
  rd_kafka_poll_set_consumer(client->handle());
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
  for (int32_t i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(list, topic.c_str(), i)->offset = 0;
  }
  EXPECT_EQ(rd_kafka_assign(client->handle(), list), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_topic_partition_list_destroy(list);

  std::vector<WrittenOutput> outputs;
  std::set<int32_t> at_end;
  const auto deadline = std::chrono::steady_clock::now() + kKafkaTestPatience;
  while (outputs.size() < records_min || at_end.size() < static_cast<size_t>(partitions)) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << topic << " has " << outputs.size() << " records, not " << records_min;
      break;
    }
    rd_kafka_message_t* message = rd_kafka_consumer_poll(client->handle(), 1'000);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      at_end.erase(message->partition);
      outputs.push_back({HeaderOf<uint16_t>(*message, "bettong-partition"),
                         HeaderOf<uint64_t>(*message, "bettong-sequence"),
                         std::string(static_cast<const char*>(message->key), message->key_len),
                         std::string(static_cast<const char*>(message->payload), message->len)});
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      at_end.insert(message->partition);
    }
    rd_kafka_message_destroy(message);
  }
  return outputs;
}

void CommitMetadata(const MockBrokers& brokers, const std::string& group, const std::string& topic,
                    const std::string& metadata) {
  const auto client = Consumer(brokers, group);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_t* offset = rd_kafka_topic_partition_list_add(list, topic.c_str(), 0);
  offset->offset = 1;
  offset->metadata = rd_kafka_mem_malloc(client->handle(), metadata.size());
  std::copy(metadata.begin(), metadata.end(), static_cast<char*>(offset->metadata));
  offset->metadata_size = metadata.size();
  EXPECT_EQ(rd_kafka_commit(client->handle(), list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_topic_partition_list_destroy(list);
}

}  // namespace bettong::ingest
