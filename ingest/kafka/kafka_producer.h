// One life of a Kafka sink's producer, from its connection to its first failure; the sink makes
// another then. Outputs go in the order they are given; each partition's are confirmed in order.
//
// Plain: idempotent, so that no broker's or connection's failure repeats or reorders anything; an
// output is stored when its record is acknowledged. Exactly once: outputs are stored when the
// transaction is committed that has them and, as an offset of the group that is called like the
// transactional id, how far each of our partitions has come with them. A sink has two of these
// then, which take turns: brokers let a producer begin anew only some time after it has committed.
//
// On the sink's thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/config.h"
#include "ingest/kafka/kafka_client.h"
#include "ingest/kafka/output_key.h"
#include "ingest/kafka/wake_descriptor.h"
#include "ingest/stream_sink_queue.h"

struct rd_kafka_message_s;
struct rd_kafka_s;
struct rd_kafka_topic_s;

namespace bettong::ingest {

// With so many records that are not acknowledged, or in one transaction, no more are given.
inline constexpr size_t kKafkaRecordsPending = 20'000;
inline constexpr size_t kKafkaBytesPending = 32u << 20;

class KafkaProducer final : public OutputTaker {
 public:
  // `stored`: everything of the partition up to this sequence is stored. `lane`: of the sink's
  // producers; ends the transactional id. `stopping`: nothing is waited for any more.
  KafkaProducer(const SinkConfig& config, size_t lane,
                std::function<void(const StreamPosition&)> stored, LogLine log,
                const std::atomic<bool>& stopping);
  ~KafkaProducer();

  // What the configuration says wrong, as far as can be told without a broker.
  static absl::Status Check(const SinkConfig& config);

  // Makes the client and finds the topic; of exactly once, ends what an earlier producer has left
  // open. Waits for brokers.
  absl::Status Open();
  // Of exactly once, after Open: how far our partitions had come with the last transaction that was
  // committed.
  absl::StatusOr<std::vector<StreamPosition>> ReadPositions();

  // Wakes when there is something to serve.
  void WakeAt(const WakeDescriptor& wake);
  // Takes note of what brokers have answered.
  void Serve();
  // Exactly once: makes what was given durable, and waits for it. `before`: what was stored before,
  // by partition.
  void Commit(std::span<const StreamPosition> before);
  // Nothing more of it will be stored.
  const absl::Status& status() const { return status_; }
  // What librdkafka says of it, "NAME: words", with numbers that are others each time; may be
  // empty.
  std::string details() const;
  // Waits for what can still be stored, for a while.
  void Flush();

  // OutputTaker.
  bool takes_outputs() const override {
    return status_.ok() && refused_behind_.ok() && pending_.size() < kKafkaRecordsPending &&
           bytes_pending_ < kKafkaBytesPending;
  }
  bool Send(const StreamOutput& output) override;
  void Refuse(StreamError code, std::string_view text) override;
  // Refuse was called: another life is no use either.
  bool refused() const { return refused_; }
  bool empty() const { return pending_.empty(); }

 private:
  struct Pending {
    StreamPosition position;
    size_t bytes = 0;
    bool stored = false;
  };

  static KafkaClientSettings SettingsOf(const SinkConfig& config, size_t lane);
  static void OnDelivered(rd_kafka_s* handle, const rd_kafka_message_s* message, void* opaque);

  // Waits for a step that takes long, in pieces of so many ms: it goes on where it was.
  template <typename Step>
  absl::Status InPieces(std::string_view doing, const Step& step);
  absl::Status FindTopic();
  absl::Status SendPositions(std::span<const StreamPosition> before);
  // For what was given to be delivered, for a while.
  void Await();
  void TellStored();
  void Fail(absl::Status status);

  const SinkConfig& config_;
  const size_t lane_;
  const std::string group_;  // and transactional id
  const std::string what_;   // for the log
  const std::function<void(const StreamPosition&)> stored_;
  const LogLine log_;
  const std::atomic<bool>& stopping_;
  OutputKey key_;
  absl::Status status_;
  std::string details_;  // of Open
  bool refused_ = false;

  std::deque<Pending> pending_;  // given, in order, and not known to be stored
  uint64_t first_pending_ = 1;   // the number of its front
  size_t bytes_pending_ = 0;
  bool in_transaction_ = false;
  // Of exactly once: librdkafka does not take an output, and what is pending was given before it.
  // That is committed first: it need not wait for the output, and librdkafka 2.0.2 ends the process
  // if it is destroyed just when a transaction has got its first record (an assertion in
  // rd_kafka_txn_handle_AddPartitionsToTxn).
  absl::Status refused_behind_;
  std::vector<uint64_t> told_;  // by partition; of TellStored

  // The last: what it calls back into outlives it.
  rd_kafka_topic_s* topic_ = nullptr;
  std::unique_ptr<KafkaClient> client_;
};

}  // namespace bettong::ingest
