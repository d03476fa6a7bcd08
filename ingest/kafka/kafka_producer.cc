#include "ingest/kafka/kafka_producer.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "ingest/kafka/kafka_queries.h"
#include "ingest/kafka/sink_positions.h"

namespace bettong::ingest {
namespace {

constexpr int kTransactionMs = 5'000;  // the longest that a step of a transaction is waited for
constexpr int kFlushMs = 5'000;
constexpr int kPieceMs = 200;  // of these: who stops waits no longer

absl::Status Failed(std::string_view doing, rd_kafka_resp_err_t error) {
  const std::string_view hint =
      error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
          ? "; the topic's max.message.bytes and this sink's kafka.\"message.max.bytes\" bound it"
          : "";
  return absl::UnavailableError(absl::StrCat(std::string(doing), ": ", rd_kafka_err2name(error),
                                             ": ", rd_kafka_err2str(error), std::string(hint)));
}

// Takes the error over.
absl::Status Failed(std::string_view doing, rd_kafka_error_t* error) {
  if (error == nullptr) return absl::OkStatus();
  absl::Status status = absl::UnavailableError(absl::StrCat(
      std::string(doing), ": ", rd_kafka_error_name(error), ": ", rd_kafka_error_string(error)));
  rd_kafka_error_destroy(error);
  return status;
}

// Of a query that waits for its coordinator: the time is over.
bool IsLate(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT ||
         error == RD_KAFKA_RESP_ERR__WAIT_COORD;
}

std::string GroupOf(const SinkConfig& config, size_t lane) {
  return absl::StrCat(config.kafka.transactional_id, "-", lane);
}

}  // namespace

KafkaClientSettings KafkaProducer::SettingsOf(const SinkConfig& config, size_t lane) {
  KafkaClientSettings settings;
  settings.role = KafkaRole::kProducer;
  settings.defaults = {{"partitioner", "murmur2_random"},
                       {"socket.nagle.disable", "true"},
                       {"reconnect.backoff.max.ms", "2000"},
                       {"retry.backoff.ms", "50"}};
  if (config.kafka.exactly_once) settings.defaults.emplace_back("transaction.timeout.ms", "15000");
  const std::string linger = std::to_string(config.kafka.linger_ms);
  settings.fixed = {
      {"enable.idempotence", "true"},
      // What cannot be delivered lets nothing pass that was given behind it.
      {"enable.gapless.guarantee", config.kafka.exactly_once ? "" : "true"},
      {"acks", "all"},
      {"request.required.acks", ""},
      {"transactional.id", config.kafka.exactly_once ? GroupOf(config, lane) : std::string()},
      {"linger.ms", linger},
      {"queue.buffering.max.ms", ""},
      {"compression.codec", config.kafka.compression},
      {"compression.type", ""},
      // What is not delivered is kept and tried again, in order, for ever.
      {"message.timeout.ms", config.kafka.exactly_once ? "" : "0"},
      {"delivery.timeout.ms", ""}};
  return settings;
}

absl::Status KafkaProducer::Check(const SinkConfig& config) {
  SinkConfig named = config;
  if (named.kafka.transactional_id.empty()) named.kafka.transactional_id = "bettong";
  return KafkaClient::Check(named.kafka.client, SettingsOf(named, 0));
}

KafkaProducer::KafkaProducer(const SinkConfig& config, size_t lane,
                             std::function<void(const StreamPosition&)> stored, LogLine log,
                             const std::atomic<bool>& stopping)
    : config_(config),
      lane_(lane),
      group_(GroupOf(config, lane)),
      what_(absl::StrCat("sink ", config.name)),
      stored_(std::move(stored)),
      log_(std::move(log)),
      stopping_(stopping),
      key_(config.kafka.key) {}

// What is open in a transaction is ended by the producer that comes next, or by the brokers after
// transaction.timeout.ms: nobody here knows for sure what has become of it.
KafkaProducer::~KafkaProducer() {
  if (topic_ != nullptr) rd_kafka_topic_destroy(topic_);
}

template <typename Step>
absl::Status KafkaProducer::InPieces(std::string_view doing, const Step& step) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kTransactionMs);
  for (;;) {
    rd_kafka_error_t* error = step(kPieceMs);
    const bool again = error != nullptr && rd_kafka_error_is_retriable(error) &&
                       rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!again || stopping_.load() || std::chrono::steady_clock::now() >= end) {
      return Failed(doing, error);
    }
    rd_kafka_error_destroy(error);
  }
}

absl::Status KafkaProducer::Open() {
  KafkaClientSettings settings = SettingsOf(config_, lane_);
  settings.delivered = OnDelivered;
  settings.opaque = this;
  auto client = KafkaClient::Make(config_.kafka.client, settings, what_, log_);
  if (!client.ok()) return status_ = client.status();
  client_ = *std::move(client);
  // Who opens one after the other tells of it.
  client_->SetSilent(true);
  topic_ = rd_kafka_topic_new(client_->handle(), config_.kafka.topic.c_str(), nullptr);
  status_ = FindTopic();
  if (status_.ok() && config_.kafka.exactly_once) {
    // From here on an older producer of the same id is fenced, and what it had open is committed or
    // aborted: so what the group has committed is the truth.
    status_ = InPieces("init transactions", [&](int wait_ms) {
      return rd_kafka_init_transactions(client_->handle(), wait_ms);
    });
  }
  if (status_.ok()) {
    client_->SetSilent(false);
  } else {
    client_->Serve(0);
    details_ = client_->heard();
  }
  return status_;
}

absl::Status KafkaProducer::FindTopic() {
  const auto topics = FindKafkaTopics(*client_, {config_.kafka.topic});
  if (!topics.ok()) {
    return absl::UnavailableError(absl::StrCat("the brokers (", config_.kafka.client.brokers,
                                               ") do not answer: ", topics.status().message()));
  }
  for (const KafkaTopic& topic : *topics) {
    if (!topic.error.empty()) {
      return absl::UnavailableError(
          absl::StrCat("topic '", topic.name, "' cannot be written: ", topic.error));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StreamPosition>> KafkaProducer::ReadPositions() {
  KafkaClientSettings settings;
  settings.role = KafkaRole::kConsumer;
  settings.fixed = {
      {"group.id", group_}, {"isolation.level", "read_committed"}, {"enable.auto.commit", "false"}};
  // Options for producers are none of this one's, and it would tell the log so.
  auto client = KafkaClient::Make(config_.kafka.client, settings, what_, nullptr);
  if (!client.ok()) return client.status();
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  const absl::Cleanup forget = [&] { rd_kafka_topic_partition_list_destroy(list); };
  rd_kafka_topic_partition_list_add(list, config_.kafka.topic.c_str(), 0)->offset =
      RD_KAFKA_OFFSET_INVALID;
  auto error = RD_KAFKA_RESP_ERR__TIMED_OUT;
  for (int waited_ms = 0; waited_ms < kTransactionMs && !stopping_.load() && IsLate(error);
       waited_ms += kKafkaQueryMs) {
    error = rd_kafka_committed((*client)->handle(), list, kKafkaQueryMs);
  }
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed("read what is committed", error);
  if (list->elems[0].offset < 0) return std::vector<StreamPosition>();  // nothing ever was
  auto known = DecodeSinkPositions(
      {static_cast<const char*>(list->elems[0].metadata), list->elems[0].metadata_size});
  if (known.ok()) return known;
  return absl::DataLossError(absl::StrCat("the metadata of the offset of group ", group_, ": ",
                                          known.status().message(),
                                          ": another program uses the transactional_id"));
}

void KafkaProducer::WakeAt(const WakeDescriptor& wake) {
  rd_kafka_queue_t* queue = rd_kafka_queue_get_main(client_->handle());
  wake.WakeFrom(queue);
  rd_kafka_queue_destroy(queue);
}

bool KafkaProducer::Send(const StreamOutput& output) {
  if (config_.kafka.exactly_once && !std::exchange(in_transaction_, true)) {
    Fail(Failed("begin a transaction", rd_kafka_begin_transaction(client_->handle())));
    if (!status_.ok()) return false;
  }
  rd_kafka_headers_t* headers = rd_kafka_headers_new(2);
  const std::string partition = absl::StrCat(output.position.partition.value());
  const std::string sequence = absl::StrCat(output.position.sequence);
  rd_kafka_header_add(headers, "bettong-partition", -1, partition.data(),
                      static_cast<ssize_t>(partition.size()));
  rd_kafka_header_add(headers, "bettong-sequence", -1, sequence.data(),
                      static_cast<ssize_t>(sequence.size()));
  const std::string_view key = key_.Find(output.event).value_or(std::string_view());
  const uint64_t number = first_pending_ + pending_.size();
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      client_->handle(), RD_KAFKA_V_RKT(topic_), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_VALUE(const_cast<char*>(output.event.data()), output.event.size()),
      RD_KAFKA_V_KEY(const_cast<char*>(key.data()), key.size()), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(number)), RD_KAFKA_V_END);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_headers_destroy(headers);
    absl::Status refused =
        Failed(absl::StrCat("output ", sequence, " of partition ", partition, " (",
                            output.event.size(), " bytes) for ", config_.kafka.topic),
               error);
    if (config_.kafka.exactly_once && !pending_.empty()) {
      refused_behind_ = std::move(refused);
    } else {
      Fail(std::move(refused));
    }
    return false;
  }
  pending_.push_back({output.position, output.event.size(), false});
  bytes_pending_ += output.event.size();
  return true;
}

void KafkaProducer::OnDelivered(rd_kafka_s*, const rd_kafka_message_s* message, void* opaque) {
  auto& self = *static_cast<KafkaProducer*>(opaque);
  const auto number = reinterpret_cast<uint64_t>(message->_private);
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
      return;
    }
    return self.Fail(Failed(absl::StrCat("deliver to ", self.config_.kafka.topic), message->err));
  }
  if (self.config_.kafka.exactly_once || number < self.first_pending_) return;
  self.pending_[number - self.first_pending_].stored = true;
}

void KafkaProducer::TellStored() {
  if (pending_.empty() || !pending_.front().stored) return;
  told_.assign(told_.size(), 0);
  while (!pending_.empty() && pending_.front().stored) {
    const Pending& done = pending_.front();
    const size_t partition = done.position.partition.value();
    if (partition >= told_.size()) told_.resize(partition + 1);
    told_[partition] = done.position.sequence;
    bytes_pending_ -= done.bytes;
    ++first_pending_;
    pending_.pop_front();
  }
  for (size_t i = 0; i < told_.size(); ++i) {
    if (told_[i] > 0) stored_({PartitionId(static_cast<uint16_t>(i)), told_[i]});
  }
  client_->SetTrouble("", "");
}

void KafkaProducer::Serve() {
  client_->Serve(0);
  TellStored();
  if (!status_.ok() || client_->failure().empty()) return;
  // What the records were refused for says more, and comes now.
  Await();
  TellStored();
  Fail(absl::UnavailableError("the producer has failed"));
}

std::string KafkaProducer::details() const {
  const std::string failure = client_ == nullptr ? std::string() : client_->failure();
  return failure.empty() ? details_ : failure;
}

void KafkaProducer::Flush() {
  Await();
  Serve();
}

void KafkaProducer::Await() {
  for (int waited_ms = 0; waited_ms < kFlushMs && !stopping_.load(); waited_ms += kPieceMs) {
    if (rd_kafka_flush(client_->handle(), kPieceMs) != RD_KAFKA_RESP_ERR__TIMED_OUT) return;
  }
}

void KafkaProducer::Commit(std::span<const StreamPosition> before) {
  if (!in_transaction_ || !status_.ok()) return;
  // Flushed first: the brokers, which may have to be asked several times, are asked once.
  Await();
  absl::Status status = status_.ok() ? SendPositions(before) : status_;
  if (status.ok()) {
    status = InPieces("commit a transaction", [&](int wait_ms) {
      return rd_kafka_commit_transaction(client_->handle(), wait_ms);
    });
  }
  if (!status.ok()) return Fail(std::move(status));
  if (!status_.ok()) return;  // a record was not delivered, and yet: then nobody knows
  in_transaction_ = false;
  for (Pending& each : pending_) each.stored = true;
  TellStored();
  Fail(std::exchange(refused_behind_, absl::OkStatus()));
}

absl::Status KafkaProducer::SendPositions(std::span<const StreamPosition> before) {
  std::map<PartitionId, uint64_t> sequences;
  for (const StreamPosition& each : before) sequences[each.partition] = each.sequence;
  for (const Pending& each : pending_) sequences[each.position.partition] = each.position.sequence;
  uint64_t total = 0;
  std::vector<StreamPosition> positions;
  for (const auto& [partition, sequence] : sequences) {
    positions.push_back({partition, sequence});
    total += sequence;
  }
  std::string text = EncodeSinkPositions(positions);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_t* offset =
      rd_kafka_topic_partition_list_add(list, config_.kafka.topic.c_str(), 0);
  offset->offset = static_cast<int64_t>(total);
  offset->metadata = rd_kafka_mem_malloc(client_->handle(), text.size());
  std::copy(text.begin(), text.end(), static_cast<char*>(offset->metadata));
  offset->metadata_size = text.size();
  rd_kafka_consumer_group_metadata_t* group = rd_kafka_consumer_group_metadata_new(group_.c_str());
  absl::Status status =
      Failed("send positions",
             rd_kafka_send_offsets_to_transaction(client_->handle(), list, group, kTransactionMs));
  rd_kafka_consumer_group_metadata_destroy(group);
  rd_kafka_topic_partition_list_destroy(list);
  return status;
}

void KafkaProducer::Refuse(StreamError, std::string_view text) {
  refused_ = true;
  Fail(absl::FailedPreconditionError(std::string(text)));
}

void KafkaProducer::Fail(absl::Status status) { status_.Update(std::move(status)); }

}  // namespace bettong::ingest
