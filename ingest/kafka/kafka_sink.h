// [sink.NAME] kind = "kafka": outputs become records of a topic. Keeps them until a KafkaProducer
// has had them stored; when one fails, another is made, and given what is not. On a thread of its
// own.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ingest/backoff.h"
#include "ingest/config.h"
#include "ingest/kafka/kafka_producer.h"
#include "ingest/kafka/wake_descriptor.h"
#include "ingest/sink_inbox.h"
#include "ingest/sink_runner.h"
#include "ingest/stream_sink_queue.h"

namespace bettong::ingest {

inline constexpr size_t kKafkaTransactionLanes = 2;
inline constexpr std::chrono::milliseconds kKafkaRetryFirst{100};
inline constexpr std::chrono::milliseconds kKafkaRetryLongest{2'000};

class KafkaSink final : public SinkRunner {
 public:
  // On the sink's thread: the topic has all of the chunks, and the state is for the log; empty: it
  // need not know.
  using Written = std::function<void(std::string state, std::vector<SinkChunk*> chunks)>;

  // `state`: as it was given to `written` last; empty: there is none.
  KafkaSink(const SinkConfig& config, StreamSinkOptions options, const std::string& state,
            Written written, LogLine log);
  ~KafkaSink() override;

  void Start() override;
  void Send(SinkChunk* chunk) override;
  bool Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;
  bool broken() const override { return inbox_.hopeless(); }

 private:
  void Run();
  void TakeInbox();
  // Makes producers; answers what went wrong, and then there are none.
  absl::Status Connect();
  void Work();
  void Disconnect();
  void Know(const StreamPosition& position);
  void OnStored(const StreamPosition& position);
  // Hands back what is stored.
  void GiveBack();
  // Tells the log of what it is, once, and of its end: ok. `details`, of which only the name counts
  // for that, are as KafkaProducer::details().
  void Tell(const absl::Status& status, const std::string& details = {});
  void Rest();

  const SinkConfig config_;
  const LogLine log_;
  const WakeDescriptor wake_;
  SinkInbox inbox_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> connected_{true};  // or has not tried yet

  // The sink's thread.
  StreamSinkQueue queue_;
  std::vector<StreamPosition> known_;  // by partition: stored, as this process knows
  const Written written_;
  std::vector<SinkChunk*> stored_;  // since they were handed back
  Backoff backoff_{kKafkaRetryFirst, kKafkaRetryLongest};
  std::string trouble_;                                    // told last
  std::vector<std::unique_ptr<KafkaProducer>> producers_;  // all, or none
  size_t at_ = 0;                                          // whose turn it is
  std::thread thread_;
};

}  // namespace bettong::ingest
