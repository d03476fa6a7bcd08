#include "ingest/kafka/kafka_source.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>

#include "base/number_text.h"
#include "base/thread_name.h"
#include "grid/runtime/call_mail.h"

namespace bettong::ingest {
namespace {

constexpr std::chrono::milliseconds kServeEvery{100};     // librdkafka's errors
constexpr std::chrono::milliseconds kCommitEvery{1'000};  // for lag monitors
// A partition without any event yet holds its stream's watermark for so long.
constexpr std::chrono::milliseconds kEmptyIdle{5'000};
// Partitions that are not to be had at the start are waited for so long by the others.
constexpr std::chrono::seconds kJoinWait{30};
// A broker that has just come back may answer what was true before it went: records count as gone
// when they have been for so long.
constexpr std::chrono::seconds kLostAfter{3};
constexpr std::chrono::milliseconds kIdleLookMin{20};
constexpr std::chrono::milliseconds kIdleLookMax{1'000};
constexpr std::chrono::milliseconds kHurry{500};  // while something is wrong

std::string NameOf(const std::string& topic, int32_t number) {
  return absl::StrCat(topic, "[", number, "]");
}

KafkaClientSettings SettingsOf(const SourceConfig& config) {
  KafkaClientSettings settings;
  settings.role = KafkaRole::kConsumer;
  settings.defaults = {
      {"fetch.error.backoff.ms", "50"},
      {"check.crcs", "true"},
      {"fetch.wait.max.ms", "100"},
      {"reconnect.backoff.max.ms", "2000"},
      {"socket.nagle.disable", "true"},
      {"queued.min.messages", std::to_string(kKafkaFetchedRecords)},
      {"fetch.message.max.bytes", "262144"},
      {"topic.metadata.refresh.interval.ms",
       std::to_string(std::clamp<int64_t>(config.kafka.discover_ms, 1'000, 60'000))}};
  settings.fixed = {{"group.id", config.kafka.group},
                    {"enable.auto.commit", "false"},
                    {"enable.auto.offset.store", "false"},
                    {"auto.offset.reset", "error"},
                    {"enable.partition.eof", "true"},
                    {"queued.max.messages.kbytes",
                     std::to_string(std::max<uint64_t>(1, config.kafka.prefetch_bytes / 1024))}};
  return settings;
}

}  // namespace

KafkaSource::KafkaSource(SourceConfig config, StreamId stream, std::vector<ShardDoor> doors,
                         LogLine log)
    : config_(std::move(config)),
      stream_(stream),
      doors_(std::move(doors)),
      log_(std::move(log)),
      uses_watermark_(doors_[0].gate->UsesWatermark(stream)),
      admission_(absl::StrCat("source ", config_.name), log_),
      logged_of_(doors_.size(), 0) {
  const std::string prefix = absl::StrCat("source:", config_.name, "/");
  for (const ShardDoor& door : doors_) {
    readers_.push_back(std::make_unique<KafkaReader>(door, admission_));
    for (const std::string& endpoint : door.shard->shard().EndpointNames(prefix)) {
      const size_t slash = endpoint.rfind('/');
      const std::string topic =
          endpoint.substr(prefix.size(), std::max(slash, prefix.size()) - prefix.size());
      const auto number = ParseInt(std::string_view(endpoint).substr(slash + 1));
      if (!number || topic.empty()) continue;
      const Place place(topic, static_cast<int32_t>(*number));
      const std::string* state =
          door.shard->shard().FindEndpoint(KafkaHome(place.first, place.second), endpoint);
      if (state == nullptr) continue;
      const auto known = InputState::Decode(*state);
      if (!known) {
        unknown_ = endpoint;
        continue;
      }
      logged_.emplace(place, *known);
      ++logged_of_[door.shard->id().value()];
    }
  }
}

KafkaSource::~KafkaSource() {
  Stop();
  if (thread_.joinable()) thread_.join();
  for (auto& [place, entry] : entries_) StopReading(*entry);
  for (auto& [name, topic] : topics_) rd_kafka_topic_destroy(topic);
  client_.reset();
}

absl::Status KafkaSource::Check(const SourceConfig& config) {
  if (absl::Status status = CheckKafkaTopics(config.kafka.topics); !status.ok()) return status;
  return KafkaClient::Check(config.kafka.client, SettingsOf(config));
}

absl::Status KafkaSource::Open() {
  if (!unknown_.empty()) {
    return absl::DataLossError(absl::StrCat("source ", config_.name, ": the log holds a state of ",
                                            unknown_, " that this program does not know"));
  }
  KafkaClientSettings settings = SettingsOf(config_);
  settings.unavailable = [this](std::string_view topic, int32_t partition) {
    OnUnavailable(topic, partition);
  };
  auto client = KafkaClient::Make(config_.kafka.client, settings,
                                  absl::StrCat("source ", config_.name), log_);
  if (!client.ok()) {
    return absl::Status(client.status().code(),
                        absl::StrCat("source ", config_.name, ": ", client.status().message()));
  }
  client_ = *std::move(client);
  return absl::OkStatus();
}

void KafkaSource::Start() {
  for (size_t i = 0; i < doors_.size(); ++i) {
    grid::ShardLoop& shard = *doors_[i].shard;
    shard.Post(shard.id(), std::make_unique<grid::CallMail>(
                               [this, i](grid::ShardLoop&) { readers_[i]->Start(); }));
  }
  thread_ = std::thread([this] {
    NameThread("kafka-" + config_.name);
    Run();
  });
}

void KafkaSource::Stop() {
  if (stopping_.exchange(true)) return;
  tasks_changed_.notify_all();
  for (size_t i = 0; i < doors_.size(); ++i) {
    grid::ShardLoop& shard = *doors_[i].shard;
    shard.Post(shard.id(), std::make_unique<grid::CallMail>(
                               [this, i](grid::ShardLoop&) { readers_[i]->Stop(); }));
  }
}

bool KafkaSource::caught_up(size_t shard) const {
  return readers_[shard]->caught_up() && readers_[shard]->size() >= logged_of_[shard];
}

std::vector<KafkaSample> KafkaSource::Sample() const {
  std::vector<std::shared_ptr<KafkaView>> views;
  {
    const std::lock_guard lock(mutex_);
    views = views_;
  }
  std::vector<KafkaSample> samples;
  for (const auto& view : views) {
    KafkaSample sample{.topic = view->topic,
                       .partition = view->number,
                       .position = view->position.load(std::memory_order_relaxed),
                       .state = view->state.load(),
                       .error = view->error()};
    int64_t low = 0, high = 0;
    rd_kafka_get_watermark_offsets(client_->handle(), view->topic.c_str(), view->number, &low,
                                   &high);
    // What was fetched last says where the end is; before that, and beside it, who was asked.
    high = std::max(high, view->end.load(std::memory_order_relaxed));
    if (high >= 0) sample.end = std::max(high, sample.position);
    if (sample.end >= 0 && sample.position >= 0) sample.lag = sample.end - sample.position;
    samples.push_back(std::move(sample));
  }
  return samples;
}

// --- the control thread

void KafkaSource::Post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  tasks_changed_.notify_all();
}

void KafkaSource::Run() {
  while (!stopping_.load()) {
    if (Clock::now() >= next_look_) {
      Look();
      next_look_ = Clock::now() +
                   (hurry_ ? std::min(kHurry, std::chrono::milliseconds(config_.kafka.discover_ms))
                           : std::chrono::milliseconds(config_.kafka.discover_ms));
    }
    if (uses_watermark_ && Clock::now() >= next_idle_look_) {
      LookForIdle();
      next_idle_look_ = Clock::now() + std::clamp(IdleAfter() / 4, kIdleLookMin, kIdleLookMax);
    }
    if (!config_.kafka.group.empty() && Clock::now() >= next_commit_) {
      CommitPositions();
      next_commit_ = Clock::now() + kCommitEvery;
    }
    client_->Serve(0);
    Clock::time_point until = std::min(next_look_, Clock::now() + kServeEvery);
    if (uses_watermark_) until = std::min(until, next_idle_look_);
    RunTasks(until);
  }
}

// What is posted meanwhile waits for the next time: looks and commits have their turn in between.
void KafkaSource::RunTasks(Clock::time_point until) {
  std::deque<std::function<void()>> tasks;
  {
    std::unique_lock lock(mutex_);
    tasks_changed_.wait_until(lock, until, [this] { return !tasks_.empty() || stopping_.load(); });
    tasks = std::exchange(tasks_, {});
  }
  for (const auto& task : tasks) {
    if (stopping_.load()) return;
    task();
  }
}

void KafkaSource::Look() {
  hurry_ = true;
  const auto topics = FindKafkaTopics(*client_, config_.kafka.topics);
  if (!topics.ok()) {
    client_->Serve(0);  // what has been heard of why
    return client_->SetUnreachable(absl::StrCat("the brokers (", config_.kafka.client.brokers,
                                                ") do not answer: ", topics.status().message(),
                                                "; tries again"));
  }
  hurry_ = false;
  std::vector<std::string> troubles;
  unjoined_.clear();
  crowded_.clear();
  if (first_look_ == Clock::time_point{}) first_look_ = Clock::now();
  for (const KafkaTopic& topic : *topics) {
    if (stopping_.load()) return;
    if (!topic.error.empty()) {
      troubles.push_back(absl::StrCat("topic '", topic.name, "' cannot be read: ", topic.error,
                                      "; looked for again and again"));
    }
    // One that is not there need not be waited for, unless it has been.
    const auto known = logged_.lower_bound({topic.name, 0});
    const bool read_before = known != logged_.end() && known->first.first == topic.name;
    if (!topic.error.empty() && (read_before || !topic.missing)) unjoined_ = troubles.back();
    LookAt(topic);
  }
  if (topics->empty()) troubles.push_back("no topic matches the patterns yet");
  if (!crowded_.empty()) troubles.push_back(crowded_);
  if (!unjoined_.empty() && (troubles.empty() || troubles.back() != unjoined_)) {
    troubles.push_back(unjoined_);
  }
  looked_ = looked_ || unjoined_.empty();
  if (!looked_ && uses_watermark_) {
    const bool enough = Clock::now() >= first_look_ + kJoinWait;
    troubles.push_back(enough ? "the others go on without it: its events may be late"
                              : "the others wait for its event time");
    looked_ = enough;
  }
  if (!hurry_) found_all_.store(true);
  client_->SetTrouble(troubles.empty() ? "" : "missing", absl::StrJoin(troubles, "; "));
  StartAllWhenReady();
}

std::chrono::milliseconds KafkaSource::IdleAfter() const {
  return config_.idle_ms ? std::chrono::milliseconds(*config_.idle_ms) : kEmptyIdle;
}

// A partition whose leader does not answer may have more than anybody knows: it is not idle.
void KafkaSource::LookForIdle() {
  const TimeMs now_ms = doors_[0].shard->now_ms();
  for (auto& [place, entry] : entries_) {
    const KafkaView& view = *entry->view;
    if (stopping_.load() || view.state.load() != KafkaState::kReading) continue;
    if (!config_.idle_ms && view.had_events.load(std::memory_order_relaxed)) continue;
    const int64_t position = view.position.load(std::memory_order_relaxed);
    const TimeMs quiet_ms = now_ms - view.active_ms.load(std::memory_order_relaxed);
    if (quiet_ms < IdleAfter().count() || entry->left_at == position) continue;
    const absl::StatusOr<KafkaRange> range = FindKafkaRange(*client_, view.topic, view.number);
    if (!range.ok() || range->high > position) continue;
    entry->left_at = position;
    OnShardOf(*entry, [at = entry.get(), position] { at->partition->LeaveAt(position); });
  }
}

void KafkaSource::LookAt(const KafkaTopic& topic) {
  for (int32_t number = 0; number < topic.partitions && !stopping_.load(); ++number) {
    const auto found = entries_.find({topic.name, number});
    if (found == entries_.end()) {
      if (!Join(topic.name, number)) hurry_ = true;
    } else if (found->second->stopped) {
      Recover(*found->second);
      hurry_ = hurry_ || (found->second->stopped && !found->second->lost);
    }
  }
  if (!topic.error.empty()) hurry_ = true;
}

bool KafkaSource::Join(const std::string& topic, int32_t number) {
  if (entries_.size() >= kKafkaPartitionsMax) {
    crowded_ = absl::StrCat("more than ", kKafkaPartitionsMax,
                            " partitions: ", NameOf(topic, number), " is not read");
    return true;
  }
  const absl::StatusOr<KafkaRange> range = FindKafkaRange(*client_, topic, number);
  if (!range.ok()) {
    unjoined_ = absl::StrCat(NameOf(topic, number), ": ", range.status().message());
    return false;
  }
  const Place place(topic, number);
  const auto known = logged_.find(place);
  InputState state;
  if (known != logged_.end()) {
    state = known->second;
  } else {
    // Of a topic that has been read before, and of one that has only just come, nothing is missed.
    const auto same = logged_.lower_bound({topic, 0});
    const bool read_before = same != logged_.end() && same->first.first == topic;
    absl::StatusOr<int64_t> start = range->low;
    if (!read_before && !looked_) {
      start = FindKafkaStart(*client_, config_.kafka, topic, number, *range);
    }
    if (!start.ok()) {
      unjoined_ = absl::StrCat(NameOf(topic, number), ": ", start.status().message());
      return false;
    }
    state.durable = static_cast<uint64_t>(*start);
  }
  auto entry = std::make_unique<Entry>();
  const ShardId home = doors_[0].shard->slot_map().ShardOf(KafkaHome(topic, number));
  entry->view = std::make_shared<KafkaView>(topic, number, home);
  entry->state = state;
  entry->joining = true;
  ++joining_;
  Entry* const at = entries_.emplace(place, std::move(entry)).first->second.get();
  {
    const std::lock_guard lock(mutex_);
    views_.push_back(at->view);
  }
  at->view->end.store(range->high);
  // Of what was read in an earlier life more may come, as if there had been no end of that one.
  at->view->had_events.store(state.fingerprint != 0);
  OnShardOf(*at, [this, at, state] {
    const size_t shard = at->view->home.value();
    KafkaReader& reader = *readers_[shard];
    at->partition = &reader.Add(std::make_unique<KafkaPartition>(
        doors_[shard], config_, stream_, counters_, at->view, state,
        KafkaPartition::Callbacks{
            .ready = [this, at] { Post([this, at] { OnReady(*at); }); },
            .stopped =
                [this, at](const KafkaTrouble& trouble, const InputState& ended) {
                  Post([this, at, trouble, ended] { OnStopped(*at, trouble, ended); });
                },
            .room = [&reader] { reader.TakeSoon(); },
            .low =
                [this, at] {
                  if (!at->view->low.exchange(true)) Post([this, at] { OnLow(*at); });
                },
            .news = [&reader] { reader.TellSoon(); }}));
    at->partition->Join();
  });
  return true;
}

void KafkaSource::OnReady(Entry& entry) {
  if (std::exchange(entry.joining, false)) --joining_;
  entry.waits = true;
  StartAllWhenReady();
}

// Together: the watermark would get ahead of one whose event time is not known yet.
void KafkaSource::StartAllWhenReady() {
  if (joining_ > 0 || (!looked_ && uses_watermark_)) return;
  for (auto& [place, entry] : entries_) {
    if (std::exchange(entry->waits, false)) StartReading(*entry);
  }
}

void KafkaSource::StartReading(Entry& entry) {
  const KafkaView& view = *entry.view;
  rd_kafka_topic_t* topic = TopicOf(view.topic);
  entry.queue = rd_kafka_queue_get_partition(client_->handle(), view.topic.c_str(), view.number);
  readers_[view.home.value()]->wake().WakeFrom(entry.queue);
  // What was heard before is answered by what is looked at now.
  entry.view->suspect.store(false);
  if (rd_kafka_consume_start(topic, view.number, FirstOffset(entry.state)) != 0) {
    entry.stopped = true;
    StopReading(entry);
    return StopWith(entry, absl::StrCat("cannot be read: ", rd_kafka_err2str(rd_kafka_last_error()),
                                        "; tried again and again"));
  }
  OnShardOf(entry, [this, &entry, topic] {
    entry.partition->Start(topic, entry.queue);
    readers_[entry.view->home.value()]->TakeSoon();
  });
}

// What is left in the queue would keep a partition alive that its topic has lost.
void KafkaSource::StopReading(Entry& entry) {
  if (entry.queue == nullptr) return;
  rd_kafka_consume_stop(TopicOf(entry.view->topic), entry.view->number);
  rd_kafka_queue_io_event_enable(entry.queue, -1, nullptr, 0);
  rd_kafka_message_t* left;
  while (rd_kafka_consume_batch_queue(entry.queue, 0, &left, 1) == 1) {
    rd_kafka_message_destroy(left);
  }
  rd_kafka_queue_destroy(std::exchange(entry.queue, nullptr));
}

void KafkaSource::OnStopped(Entry& entry, const KafkaTrouble& trouble, const InputState& state) {
  StopReading(entry);
  entry.state = state;
  entry.stopped = true;
  entry.another = trouble.kind == KafkaTrouble::Kind::kAnother;
  if (trouble.kind == KafkaTrouble::Kind::kError) {
    StopWith(entry, absl::StrCat(rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(trouble.error)),
                                 ": ", trouble.words, "; tried again and again"));
    next_look_ = std::min(next_look_, Clock::now() + kHurry);
    return;
  }
  // While a leader is being found it may come to this again and again.
  if (Clock::now() >= entry.looked_at + kHurry) Recover(entry);
  if (entry.stopped) next_look_ = std::min(next_look_, Clock::now() + kHurry);
}

void KafkaSource::OnUnavailable(std::string_view topic, int32_t partition) {
  const std::lock_guard lock(mutex_);
  for (const auto& view : views_) {
    const bool meant = topic.empty() || (view->number == partition && view->topic == topic);
    if (!meant) continue;
    view->suspect.store(true);
    readers_[view->home.value()]->wake().Wake();
  }
}

// To ask its leader anything wakes the thread that fetches from it; this is also what lag is told
// by.
void KafkaSource::OnLow(const Entry& entry) {
  entry.view->low.store(false);
  const auto range = FindKafkaRange(*client_, entry.view->topic, entry.view->number);
  if (range.ok()) entry.view->end.store(range->high);
}

void KafkaSource::Recover(Entry& entry) {
  entry.looked_at = Clock::now();
  const absl::StatusOr<KafkaRange> range =
      FindKafkaRange(*client_, entry.view->topic, entry.view->number);
  if (!range.ok()) {
    return StopWith(entry, absl::StrCat(range.status().message(), "; tried again and again"));
  }
  entry.view->end.store(range->high);
  const auto next = static_cast<int64_t>(entry.state.durable);
  const bool another = std::exchange(entry.another, false);
  if (another || next < range->low || next > range->high) {
    if (entry.lost_since == Clock::time_point{}) entry.lost_since = Clock::now();
    if (Clock::now() >= entry.lost_since + kLostAfter) return Lose(entry, *range, another);
    // Another record is to be seen once more.
    if (!another) return;
  } else {
    entry.lost_since = {};
  }
  entry.stopped = entry.lost = false;
  InputState state = entry.state;
  // The record before, to be known again, may have gone.
  if (next - 1 < range->low) state.fingerprint = 0;
  Restart(entry, state);
}

void KafkaSource::Lose(Entry& entry, const KafkaRange& range, bool another) {
  const auto next = static_cast<int64_t>(entry.state.durable);
  const std::string found = absl::StrCat("offset ", next, " is to be read next, but the topic has ",
                                         range.low, " to ", range.high);
  const bool aged = !another && next < range.low;
  const std::string why =
      another ? absl::StrCat("the record at offset ", next - 1,
                             " is not the one that was read: the topic was truncated, or deleted "
                             "and made anew")
      : aged  ? absl::StrCat(found, ": retention, or somebody, has removed ", range.low - next,
                             " records that were not read")
              : absl::StrCat(found, ": it was truncated, or deleted and made anew");
  if (config_.kafka.on_lost == KafkaLost::kStop) {
    entry.another = another;
    entry.lost = true;
    return StopWith(entry, absl::StrCat(why,
                                        "; it is not read (on_lost = \"stop\"), and its stream's "
                                        "watermark waits for it. To go on at offset ",
                                        range.low, ", start the node with on_lost = \"skip\""));
  }
  if (log_) {
    log_(absl::StrCat("source ", config_.name, ": ", NameOf(entry.view->topic, entry.view->number),
                      ": ", why, "; goes on at offset ", range.low, " (on_lost = \"skip\")",
                      aged ? "" : ", where everything is new to it"));
  }
  entry.stopped = false;
  entry.lost_since = {};
  InputState state = entry.state;
  state.fingerprint = 0;
  state.durable = static_cast<uint64_t>(range.low);
  if (!aged) ++state.incarnation;  // ids begin anew
  Restart(entry, state);
}

void KafkaSource::Restart(Entry& entry, const InputState& state) {
  entry.state = state;
  entry.joining = true;
  ++joining_;
  OnShardOf(entry, [&entry, state] { entry.partition->Restart(state); });
}

void KafkaSource::StopWith(Entry& entry, const std::string& why) {
  entry.view->state.store(KafkaState::kStopped);
  if (entry.view->error() == why) return;
  entry.view->SetError(why);
  if (!log_) return;
  log_(absl::StrCat("source ", config_.name, ": ", NameOf(entry.view->topic, entry.view->number),
                    ": ", why));
}

void KafkaSource::CommitPositions() {
  rd_kafka_topic_partition_list_t* list = nullptr;
  for (auto& [place, entry] : entries_) {
    const int64_t position = entry->view->position.load(std::memory_order_relaxed);
    if (position < 0 || position == entry->committed) continue;
    if (list == nullptr) list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, place.first.c_str(), place.second)->offset = position;
    entry->committed = position;
  }
  if (list == nullptr) return;
  rd_kafka_commit(client_->handle(), list, /*async=*/1);
  rd_kafka_topic_partition_list_destroy(list);
}

void KafkaSource::OnShardOf(const Entry& entry, std::function<void()> work) {
  grid::ShardLoop& shard = *doors_[entry.view->home.value()].shard;
  shard.Post(shard.id(), std::make_unique<grid::CallMail>(
                             [work = std::move(work)](grid::ShardLoop&) { work(); }));
}

rd_kafka_topic_t* KafkaSource::TopicOf(const std::string& name) {
  rd_kafka_topic_t*& topic = topics_[name];
  if (topic == nullptr) topic = rd_kafka_topic_new(client_->handle(), name.c_str(), nullptr);
  return topic;
}

}  // namespace bettong::ingest
