#include "ingest/kafka/kafka_sink.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/thread_name.h"
#include "ingest/kafka/sink_positions.h"

namespace bettong::ingest {
namespace {

// librdkafka wants to be served without an occasion, too.
constexpr std::chrono::milliseconds kServeEvery{100};

}  // namespace

KafkaSink::KafkaSink(const SinkConfig& config, StreamSinkOptions options, const std::string& state,
                     Written written, LogLine log)
    : config_(config),
      log_(log),
      queue_(
          config.name, std::move(options), [this](SinkChunk* chunk) { stored_.push_back(chunk); },
          log),
      written_(std::move(written)) {
  // Of exactly once Kafka knows the same or more, as long as it keeps its groups' offsets.
  if (state.empty()) return;
  const auto known = DecodeSinkPositions(state);
  if (known.ok()) {
    for (const StreamPosition& position : *known) Know(position);
  } else if (log_) {
    log_(absl::StrCat("sink ", config_.name, ": what the log has of it is not known here (",
                      std::string(known.status().message()),
                      "); outputs of the last process may come twice"));
  }
}

KafkaSink::~KafkaSink() {
  Stop();
  producers_.clear();
  TakeInbox();
  for (SinkChunk* chunk : stored_) {
    if (chunk->sinks_left.fetch_sub(1) == 1) delete chunk;
  }
}

void KafkaSink::Start() {
  thread_ = StartQuietThread([this] {
    NameThread("sink-" + config_.name);
    Run();
  });
}

void KafkaSink::Send(SinkChunk* chunk) {
  if (inbox_.Add(chunk)) wake_.Wake();
}

// While there is nobody to write to, nothing is waited for.
bool KafkaSink::Drain(std::chrono::steady_clock::time_point deadline) {
  if (!connected_.load()) deadline = std::chrono::steady_clock::now();
  return inbox_.WaitUntilStored(deadline);
}

void KafkaSink::Stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  wake_.Wake();
  thread_.join();
}

// --- the sink's thread

void KafkaSink::Run() {
  while (!stopping_.load() && !inbox_.hopeless()) {
    if (producers_.empty()) {
      if (const absl::Status status = Connect(); !status.ok()) {
        Tell(status, producers_.back()->details());
        producers_.clear();
      }
    } else {
      wake_.Wait(kServeEvery);
      TakeInbox();
    }
    connected_.store(!producers_.empty());
    if (!producers_.empty()) Work();
    if (producers_.empty()) Rest();
  }
}

// Whatever is given meanwhile waits, too.
void KafkaSink::Rest() {
  const auto end = std::chrono::steady_clock::now() + backoff_.Next();
  while (!stopping_.load() && !inbox_.hopeless()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    wake_.Wait(left);
  }
}

void KafkaSink::TakeInbox() {
  for (SinkChunk* chunk : inbox_.Take()) queue_.Take(chunk);
}

absl::Status KafkaSink::Connect() {
  const size_t lanes = config_.kafka.exactly_once ? kKafkaTransactionLanes : 1;
  for (size_t lane = 0; lane < lanes; ++lane) {
    producers_.push_back(std::make_unique<KafkaProducer>(
        config_, lane, [this](const StreamPosition& position) { OnStored(position); }, log_,
        stopping_));
    if (absl::Status status = producers_.back()->Open(); !status.ok()) return status;
  }
  // All older ones are fenced now. The one that committed last knows most.
  for (const auto& producer : producers_) {
    producer->WakeAt(wake_);
    if (!config_.kafka.exactly_once) continue;
    const absl::StatusOr<std::vector<StreamPosition>> positions = producer->ReadPositions();
    if (!positions.ok()) return positions.status();
    for (const StreamPosition& position : *positions) Know(position);
  }
  TakeInbox();
  queue_.OnResume(known_, *producers_[0]);
  at_ = 0;
  return absl::OkStatus();
}

void KafkaSink::Work() {
  KafkaProducer& producer = *producers_[at_];
  producer.Serve();
  queue_.Fill(producer);
  const bool gave = !producer.empty();
  if (config_.kafka.exactly_once && gave) {
    producer.Commit(known_);
    at_ = (at_ + 1) % producers_.size();
  }
  GiveBack();
  if (producer.status().ok()) return;
  if (producer.refused()) inbox_.GiveUp();
  const absl::Status status = producer.status();
  const std::string details = producer.details();
  // Before it is told: what comes to be stored yet says that it writes.
  Disconnect();
  Tell(status, details);
}

void KafkaSink::Disconnect() {
  // What is acknowledged yet need not be sent again.
  if (!config_.kafka.exactly_once && !producers_.empty()) producers_[0]->Flush();
  GiveBack();
  producers_.clear();
}

void KafkaSink::Know(const StreamPosition& position) {
  const size_t partition = position.partition.value();
  while (known_.size() <= partition) {
    known_.push_back({PartitionId(static_cast<uint16_t>(known_.size())), 0});
  }
  known_[partition].sequence = std::max(known_[partition].sequence, position.sequence);
}

void KafkaSink::OnStored(const StreamPosition& position) {
  Know(position);
  queue_.OnStored(position);
}

void KafkaSink::GiveBack() {
  if (stored_.empty()) return;
  const size_t chunks = stored_.size();
  written_(EncodeSinkPositions(known_), std::exchange(stored_, {}));
  backoff_.Reset();
  Tell(absl::OkStatus());
  inbox_.NoteStored(chunks);
}

void KafkaSink::Tell(const absl::Status& status, const std::string& details) {
  std::string text(status.message());
  const std::string trouble = absl::StrCat(text, details.substr(0, details.find(':')));
  if (trouble == std::exchange(trouble_, trouble) || !log_) return;
  if (!details.empty()) absl::StrAppend(&text, " (", details, ")");
  log_(absl::StrCat("sink ", config_.name, ": ",
                    status.ok()         ? "writes again"
                    : inbox_.hopeless() ? text + "; nothing more is written by this process"
                                        : text + "; its output is kept and tried again"));
}

}  // namespace bettong::ingest
