// One partition of a topic, on the shard where its position is at home: takes what librdkafka has
// fetched of it, as much as may be on its way, and knows up to where everything is done. Ids of its
// events are their offsets plus one.
//
// Life: joining (the log is told where it begins), then reading and stopped by turns, as the
// source's control thread says, until the end. Everything on the shard's thread, but for the view.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/ids.h"
#include "ingest/config.h"
#include "ingest/input_state.h"
#include "ingest/kafka/kafka_record.h"
#include "ingest/line_reader.h"
#include "ingest/replayable_input.h"
#include "ingest/shard_door.h"

struct rd_kafka_queue_s;
struct rd_kafka_topic_s;

namespace bettong::ingest {

// Of a partition, on their way: with more it is not read on, until they are half of it.
inline constexpr uint64_t kKafkaWindowRecords = 8'192;
inline constexpr uint64_t kKafkaWindowBytes = 8u << 20;
inline constexpr size_t kKafkaBatchRecords = 512;       // taken at once
inline constexpr size_t kKafkaFetchedRecords = 10'000;  // with so many, no more are fetched

enum class KafkaState : uint8_t { kStarting, kReading, kStopped };

// What any thread may see of a partition.
struct KafkaView {
  KafkaView(std::string its_topic, int32_t its_number, ShardId its_home)
      : topic(std::move(its_topic)), number(its_number), home(its_home) {}

  std::string error() const {
    const std::lock_guard lock(mutex);
    return error_text;
  }
  void SetError(std::string text) {
    const std::lock_guard lock(mutex);
    error_text = std::move(text);
  }

  const std::string topic;
  const int32_t number;
  const ShardId home;
  std::atomic<int64_t> position{-1};  // every record before it is done; -1: not known yet
  std::atomic<int64_t> end{-1};       // where the next record will be, as brokers were asked last
  std::atomic<TimeMs> active_ms{0};   // when something was taken last
  std::atomic<bool> had_events{false};
  std::atomic<KafkaState> state{KafkaState::kStarting};
  // Its leader does not serve it, or not any more: what comes next may be another log's.
  std::atomic<bool> suspect{false};
  std::atomic<bool> low{false};  // the control thread has been told so
  mutable std::mutex mutex;
  std::string error_text;  // why it is stopped
};

// What stopped a partition, for the control thread to find out more.
struct KafkaTrouble {
  enum class Kind : uint8_t {
    kOutOfRange,  // there is no record where it wants to go on
    kAnother,     // the record before is not the one that it was
    kSuspect,     // it may not be: it is to be looked at
    kError,       // something else, for librdkafka's words
  };
  Kind kind;
  int error = 0;  // rd_kafka_resp_err_t
  std::string words;
};

class KafkaPartition {
 public:
  struct Callbacks {
    std::function<void()> ready;  // Join or Restart is through: the log knows
    // It takes nothing any more, and all that came of it is done.
    std::function<void(const KafkaTrouble&, const InputState&)> stopped;
    std::function<void()> room;  // it may be taken from again
    std::function<void()> low;   // less is fetched than was: see TellIfLow
    std::function<void()> news;  // Tell is to be called, soon
  };
  KafkaPartition(const ShardDoor& door, const SourceConfig& config, StreamId stream,
                 SourceCounters& counters, std::shared_ptr<KafkaView> view, const InputState& state,
                 Callbacks callbacks);

  // Has the log know of it. Its stream's watermark waits for it from here on.
  void Join();
  // What librdkafka fetches from now on is its own; from where: FirstOffset.
  void Start(rd_kafka_topic_s* topic, rd_kafka_queue_s* queue);
  // Takes nothing until Start.
  void Stop();
  // It goes on elsewhere, once all that came of it is done.
  void Restart(const InputState& state);

  // Takes a batch, if there is one. True: perhaps there is more.
  bool Take();
  // Has shards and the log know what is done, if there is anything new.
  void Tell() {
    if (input_.has_news()) input_.Tell();
  }
  // As much as may be is on its way.
  bool full() const { return full_; }
  uint64_t bytes_pending() const { return input_.bytes_pending(); }
  // Nothing is, and the log has everything.
  bool idle() const { return input_.idle(); }
  // It has been read up to the end at least once.
  bool caught_up() const { return idle() && ends_seen_; }
  // There was nothing to be read at `position`, for long enough: its stream's watermark does not
  // wait for it, unless it has gone on by now.
  void LeaveAt(int64_t position);

  const InputState& state() const { return input_.state(); }
  const KafkaView& view() const { return *view_; }

 private:
  // Ids of another incarnation begin anew: they are another channel's.
  void SetChannel(uint64_t incarnation);
  void OnLogged();
  void OnDone();
  void TakeOne(const struct rd_kafka_message_s& message, bool last);
  void Fail(KafkaTrouble::Kind kind, int error, std::string words);
  void Publish();
  // A partition of which enough is fetched is looked at by librdkafka 2.0.2 after a second again,
  // or when it has something else to do: so it is given that as soon as half of it is taken.
  void TellIfLow();

  const ShardDoor door_;
  const SourceConfig& config_;
  SourceCounters& counters_;
  const std::shared_ptr<KafkaView> view_;
  const Callbacks callbacks_;
  const std::string endpoint_;
  ReplayableInput input_;
  KafkaRecord record_;
  std::unique_ptr<LineReader> lines_;  // of the format, if it has lines
  std::string text_;                   // of the record at hand, padded

  rd_kafka_topic_s* topic_ = nullptr;      // while it reads
  rd_kafka_queue_s* queue_ = nullptr;      // likewise: what is fetched
  size_t most_fetched_ = 0;                // records in it, since TellIfLow told
  bool announces_ = false;                 // Join or Restart waits for the log
  std::unique_ptr<KafkaTrouble> trouble_;  // likewise, what stopped it
  std::unique_ptr<InputState> next_;       // Restart waits for what is on its way
  bool verifies_ = false;                  // the first record is the one before, to be known again
  bool reads_ = false;                     // a record has come since Start
  bool full_ = false;
  bool ends_seen_ = false;
  int64_t end_ = -1;      // where it was read to the end
  uint64_t last_id_ = 0;  // taken
};

// The name of the endpoint that has the partition's state, and its home: partitions of a topic
// are spread over the slots.
std::string KafkaEndpoint(std::string_view source, std::string_view topic, int32_t partition);
Slot KafkaHome(std::string_view topic, int32_t partition);
// Where librdkafka is to begin: at the record before, if it can be known again.
int64_t FirstOffset(const InputState& state);

}  // namespace bettong::ingest
