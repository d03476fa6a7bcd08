#include "ingest/kafka/kafka_queries.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <memory>
#include <regex>

namespace bettong::ingest {
namespace {

absl::Status Failed(rd_kafka_resp_err_t error) {
  return absl::UnavailableError(
      absl::StrCat(rd_kafka_err2name(error), ": ", rd_kafka_err2str(error)));
}

void AddTopics(const rd_kafka_metadata_t& metadata, std::vector<KafkaTopic>& topics,
               const std::regex* pattern) {
  for (int i = 0; i < metadata.topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& found = metadata.topics[i];
    const std::string name = found.topic;
    if (pattern != nullptr && (name.starts_with("__") || !std::regex_search(name, *pattern))) {
      continue;
    }
    const bool known = std::any_of(topics.begin(), topics.end(),
                                   [&](const KafkaTopic& each) { return each.name == name; });
    if (known) continue;
    KafkaTopic topic{.name = name, .partitions = found.partition_cnt, .error = {}};
    // A partition without a leader is there all the same.
    if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      topic.partitions = 0;
      topic.missing = found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
      topic.error = absl::StrCat(rd_kafka_err2name(found.err), ": ", rd_kafka_err2str(found.err));
    }
    topics.push_back(std::move(topic));
  }
}

absl::Status AddNamed(const KafkaClient& client, const std::string& name,
                      std::vector<KafkaTopic>& topics) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client.handle(), name.c_str(), nullptr);
  if (topic == nullptr) return Failed(rd_kafka_last_error());
  const absl::Cleanup forget = [&] { rd_kafka_topic_destroy(topic); };
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error = rd_kafka_metadata(client.handle(), 0, topic, &metadata, kKafkaQueryMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed(error);
  AddTopics(*metadata, topics, nullptr);
  rd_kafka_metadata_destroy(metadata);
  return absl::OkStatus();
}

absl::Status AddMatching(const KafkaClient& client, const std::string& pattern,
                         std::vector<KafkaTopic>& topics) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error = rd_kafka_metadata(client.handle(), 1, nullptr, &metadata, kKafkaQueryMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed(error);
  const std::regex matcher(pattern);
  AddTopics(*metadata, topics, &matcher);
  rd_kafka_metadata_destroy(metadata);
  return absl::OkStatus();
}

// A list of the one partition, with this offset.
class OnePartition {
 public:
  OnePartition(const std::string& topic, int32_t partition, int64_t offset)
      : list_(rd_kafka_topic_partition_list_new(1)) {
    rd_kafka_topic_partition_list_add(list_, topic.c_str(), partition)->offset = offset;
  }
  ~OnePartition() { rd_kafka_topic_partition_list_destroy(list_); }
  OnePartition(const OnePartition&) = delete;
  OnePartition& operator=(const OnePartition&) = delete;

  rd_kafka_topic_partition_list_t* list() { return list_; }
  absl::StatusOr<int64_t> Offset(rd_kafka_resp_err_t error) const {
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list_->elems[0].err;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed(error);
    return list_->elems[0].offset;
  }

 private:
  rd_kafka_topic_partition_list_t* const list_;
};

}  // namespace

absl::StatusOr<std::vector<KafkaTopic>> FindKafkaTopics(const KafkaClient& client,
                                                        const std::vector<std::string>& names) {
  std::vector<KafkaTopic> topics;
  for (const bool patterns : {false, true}) {
    for (const std::string& name : names) {
      if (name.starts_with('^') != patterns) continue;
      const absl::Status status =
          patterns ? AddMatching(client, name, topics) : AddNamed(client, name, topics);
      if (!status.ok()) return status;
    }
  }
  return topics;
}

absl::Status CheckKafkaTopics(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.empty()) return absl::InvalidArgumentError("a topic has a name");
    if (!name.starts_with('^')) continue;
    try {
      const std::regex pattern(name);
    } catch (const std::regex_error& error) {
      return absl::InvalidArgumentError(
          absl::StrCat("the pattern '", name, "' is no regular expression: ", error.what()));
    }
  }
  return absl::OkStatus();
}

// Not rd_kafka_query_watermark_offsets: in 2.0.2 that waits for its answer without an end.
absl::StatusOr<KafkaRange> FindKafkaRange(const KafkaClient& client, const std::string& topic,
                                          int32_t partition) {
  // "Times" of the protocol, beside real ones.
  constexpr int64_t kEarliest = -2, kLatest = -1;
  KafkaRange range;
  for (const auto& [time, offset] :
       {std::pair(kEarliest, &range.low), std::pair(kLatest, &range.high)}) {
    OnePartition at(topic, partition, time);
    const absl::StatusOr<int64_t> found =
        at.Offset(rd_kafka_offsets_for_times(client.handle(), at.list(), kKafkaQueryMs));
    if (!found.ok()) return found.status();
    *offset = *found;
  }
  return range;
}

absl::StatusOr<int64_t> FindKafkaStart(const KafkaClient& client, const KafkaSourceConfig& config,
                                       const std::string& topic, int32_t partition,
                                       const KafkaRange& range) {
  switch (config.start) {
    case KafkaStart::kEarliest:
      return range.low;
    case KafkaStart::kLatest:
      return range.high;
    case KafkaStart::kTime: {
      OnePartition at(topic, partition, config.start_ms);
      const absl::StatusOr<int64_t> offset =
          at.Offset(rd_kafka_offsets_for_times(client.handle(), at.list(), kKafkaQueryMs));
      // Nothing is as young as that.
      return offset.ok() && *offset < 0 ? range.high : offset;
    }
    case KafkaStart::kStored: {
      OnePartition at(topic, partition, RD_KAFKA_OFFSET_INVALID);
      const absl::StatusOr<int64_t> offset =
          at.Offset(rd_kafka_committed(client.handle(), at.list(), kKafkaQueryMs));
      return offset.ok() && *offset < 0 ? range.low : offset;
    }
  }
  return range.low;
}

}  // namespace bettong::ingest
