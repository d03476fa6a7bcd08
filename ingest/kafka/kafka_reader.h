// The partitions of a Kafka source that are at home on one shard: wakes when librdkafka has fetched
// something, and takes from each in turn, as long as the node admits events.
//
// Owned by the source; on the shard's thread, from Start to the shard's end.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "ingest/admission_notice.h"
#include "ingest/config.h"
#include "ingest/kafka/kafka_partition.h"
#include "ingest/kafka/wake_descriptor.h"
#include "ingest/shard_door.h"

namespace bettong::ingest {

// Of records of all partitions of a shard, on their way: with more, nothing is taken.
inline constexpr uint64_t kKafkaShardBytes = 64u << 20;

class KafkaReader {
 public:
  KafkaReader(const ShardDoor& door, AdmissionNotice& admission);
  ~KafkaReader();

  // For librdkafka, and whoever else has something to be looked at.
  const WakeDescriptor& wake() const { return wake_descriptor_; }

  void Start();
  // Takes nothing any more.
  void Stop();
  KafkaPartition& Add(std::unique_ptr<KafkaPartition> partition);
  // Takes what there is, soon.
  void TakeSoon();
  // Tells shards and the log what is done, soon.
  void TellSoon();

  bool caught_up() const;
  size_t size() const { return partitions_.size(); }

 private:
  void WaitForRecords();
  void TakeFetched();
  void TakeLater(std::chrono::steady_clock::duration after);
  void Take();

  const ShardDoor door_;
  AdmissionHold hold_;
  WakeDescriptor wake_descriptor_;
  boost::asio::posix::stream_descriptor wake_;
  boost::asio::steady_timer fetched_;
  boost::asio::steady_timer poll_;
  boost::asio::steady_timer tell_;
  bool telling_ = false;
  std::chrono::steady_clock::time_point next_take_{};
  bool posted_ = false;
  bool stopped_ = false;
  size_t first_ = 0;  // whose turn it is
  std::vector<std::unique_ptr<KafkaPartition>> partitions_;
};

}  // namespace bettong::ingest
