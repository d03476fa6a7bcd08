// [source.NAME] kind = "kafka": reads the partitions of topics, each on the shard where its
// position is at home in the log, and goes on after a crash where the log says.
//
// A thread of its own looks for topics and partitions, asks brokers where they begin and end, and
// starts and stops their reading; the shards take the records (kafka_reader.h). What the two tell
// each other travels as mail and as tasks.
//
// Built and opened before the shards run, destroyed after they have stopped and before they are
// destroyed. Start and Stop from any thread.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ingest/admission_notice.h"
#include "ingest/config.h"
#include "ingest/input_channel.h"
#include "ingest/kafka/kafka_client.h"
#include "ingest/kafka/kafka_partition.h"
#include "ingest/kafka/kafka_queries.h"
#include "ingest/kafka/kafka_reader.h"
#include "ingest/shard_door.h"

struct rd_kafka_queue_s;
struct rd_kafka_topic_s;

namespace bettong::ingest {

// Partitions of a source; each is remembered for ever.
inline constexpr size_t kKafkaPartitionsMax = 10'000;

// Of a partition, for INFO and metrics.
struct KafkaSample {
  std::string topic;
  int32_t partition = 0;
  int64_t position = -1;  // every record before it is done; -1: not known yet
  int64_t end = -1;       // where the next record will be, as librdkafka heard last; -1: likewise
  int64_t lag = -1;       // what is between them; -1: likewise
  KafkaState state = KafkaState::kStarting;
  std::string error;  // why it is stopped
};

class KafkaSource {
 public:
  KafkaSource(SourceConfig config, StreamId stream, std::vector<ShardDoor> doors, LogLine log);
  ~KafkaSource();
  KafkaSource(const KafkaSource&) = delete;
  KafkaSource& operator=(const KafkaSource&) = delete;

  // What the configuration says wrong, as far as can be told without a broker.
  static absl::Status Check(const SourceConfig& config);

  // Makes the client, which asks no broker yet.
  absl::Status Open();
  void Start();
  // Takes nothing any more; what has been taken is carried out.
  void Stop();
  // On that shard's thread: the partitions at home there, of which the log knew at the start, have
  // been read to their ends.
  bool caught_up(size_t shard) const;

  const SourceConfig& config() const { return config_; }
  const SourceCounters& counters() const { return counters_; }
  const AdmissionNotice& admission() const { return admission_; }
  // From any thread.
  std::vector<KafkaSample> Sample() const;
  std::string trouble() const { return client_->trouble(); }
  // All topics and partitions that there are have been found once.
  bool found_all() const { return found_all_.load(); }

 private:
  using Clock = std::chrono::steady_clock;
  using Place = std::pair<std::string, int32_t>;

  // A partition, as the control thread sees it.
  struct Entry {
    std::shared_ptr<KafkaView> view;
    KafkaPartition* partition = nullptr;  // the shard's; made by Join
    rd_kafka_queue_s* queue = nullptr;
    InputState state;                // where reading begins, or ended
    bool joining = false;            // the shard has it, and is not ready
    bool waits = false;              // ready to be started with the others
    bool stopped = false;            // by trouble that may pass: looked at again
    bool another = false;            // ... a record that is not the one that it was
    bool lost = false;               // and stays so, by on_lost
    Clock::time_point lost_since{};  // since when records seem to be gone
    int64_t committed = -1;
    int64_t left_at = -1;           // where it was found idle
    Clock::time_point looked_at{};  // by Recover
  };

  // Everything below on the control thread, but for what says otherwise.
  void Run();
  void Post(std::function<void()> task);  // any thread
  void RunTasks(Clock::time_point until);
  void Look();
  // How long a partition must have had nothing to be read.
  std::chrono::milliseconds IdleAfter() const;
  void LookForIdle();
  void LookAt(const KafkaTopic& topic);
  // False: the brokers did not say enough.
  bool Join(const std::string& topic, int32_t number);
  void OnReady(Entry& entry);
  void StartAllWhenReady();
  void StartReading(Entry& entry);
  void StopReading(Entry& entry);
  void OnStopped(Entry& entry, const KafkaTrouble& trouble, const InputState& state);
  void OnLow(const Entry& entry);
  void OnUnavailable(std::string_view topic, int32_t partition);  // any thread
  void Recover(Entry& entry);
  void Lose(Entry& entry, const KafkaRange& range, bool another);
  void Restart(Entry& entry, const InputState& state);
  void StopWith(Entry& entry, const std::string& why);
  void CommitPositions();
  void OnShardOf(const Entry& entry, std::function<void()> work);
  rd_kafka_topic_s* TopicOf(const std::string& name);

  const SourceConfig config_;
  const StreamId stream_;
  const std::vector<ShardDoor> doors_;
  const LogLine log_;
  const bool uses_watermark_;
  SourceCounters counters_;
  AdmissionNotice admission_;
  std::vector<std::unique_ptr<KafkaReader>> readers_;  // by ShardId
  std::map<Place, InputState> logged_;                 // by the log, when the node started
  std::vector<size_t> logged_of_;                      // by ShardId: how many of these
  std::unique_ptr<KafkaClient> client_;

  std::map<Place, std::unique_ptr<Entry>> entries_;
  std::map<std::string, rd_kafka_topic_s*> topics_;
  size_t joining_ = 0;
  Clock::time_point next_look_{};
  Clock::time_point next_commit_{};
  Clock::time_point next_idle_look_{};
  bool looked_ = false;   // all that there was has been found and joined once
  std::string unjoined_;  // a partition or topic that could not be, and why
  std::string crowded_;   // a partition that is too much
  std::string unknown_;   // an endpoint whose state the log has, and nobody can read
  Clock::time_point first_look_{};
  bool hurry_ = false;  // to look again
  std::thread thread_;

  mutable std::mutex mutex_;
  std::condition_variable tasks_changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::shared_ptr<KafkaView>> views_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> found_all_{false};
};

}  // namespace bettong::ingest
