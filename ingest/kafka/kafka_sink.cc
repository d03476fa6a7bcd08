#include "ingest/kafka/kafka_sink.h"

#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"

namespace bettong::ingest {
namespace {

// librdkafka wants to be served without an occasion, too.
constexpr std::chrono::milliseconds kServeEvery{100};

int MakeEventDescriptor() {
  const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  BETTONG_CHECK(descriptor >= 0);
  return descriptor;
}

}  // namespace

KafkaSink::KafkaSink(const SinkConfig& config, StreamSinkOptions options,
                     std::function<void(SinkChunk*)> stored, LogLine log)
    : config_(config),
      log_(log),
      wake_descriptor_(MakeEventDescriptor()),
      queue_(config.name, std::move(options), std::move(stored), log) {}

KafkaSink::~KafkaSink() {
  Stop();
  producers_.clear();
  TakeInbox();
  ::close(wake_descriptor_);
}

void KafkaSink::Start() {
  thread_ = StartQuietThread([this] {
    NameThread("sink-" + config_.name);
    Run();
  });
}

void KafkaSink::Send(SinkChunk* chunk) {
  if (inbox_.Add(chunk)) Wake();
}

void KafkaSink::Wake() {
  constexpr uint64_t kOne = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_descriptor_, &kOne, sizeof(kOne));
}

bool KafkaSink::Drain(std::chrono::steady_clock::time_point deadline) {
  return inbox_.WaitUntilStored(deadline);
}

void KafkaSink::Stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  Wake();
  thread_.join();
}

// --- the sink's thread

void KafkaSink::Run() {
  while (!stopping_.load() && !inbox_.hopeless()) {
    if (producers_.empty()) {
      if (const absl::Status status = Connect(); !status.ok()) {
        Tell(status);
        producers_.clear();
        Wait(backoff_.Next());
        continue;
      }
    } else {
      Wait(kServeEvery);
      TakeInbox();
    }
    Work();
  }
}

void KafkaSink::Wait(std::chrono::milliseconds at_most) {
  pollfd wake{.fd = wake_descriptor_, .events = POLLIN, .revents = 0};
  if (::poll(&wake, 1, static_cast<int>(at_most.count())) <= 0) return;
  uint64_t count;
  [[maybe_unused]] const ssize_t read = ::read(wake_descriptor_, &count, sizeof(count));
}

void KafkaSink::TakeInbox() {
  for (SinkChunk* chunk : inbox_.Take()) queue_.Take(chunk);
}

absl::Status KafkaSink::Connect() {
  const size_t lanes = config_.kafka.exactly_once ? kKafkaTransactionLanes : 1;
  for (size_t lane = 0; lane < lanes; ++lane) {
    producers_.push_back(std::make_unique<KafkaProducer>(
        config_, lane, [this](const StreamPosition& position) { OnStored(position); }, log_));
    if (absl::Status status = producers_.back()->Open(); !status.ok()) return status;
  }
  // All older ones are fenced now. The one that committed last knows most.
  for (const auto& producer : producers_) {
    producer->WakeAt(wake_descriptor_);
    if (!config_.kafka.exactly_once) continue;
    const absl::StatusOr<std::vector<StreamPosition>> positions = producer->ReadPositions();
    if (!positions.ok()) return positions.status();
    for (const StreamPosition& position : *positions) Know(position);
  }
  TakeInbox();
  inbox_.NoteStored(queue_.OnResume(known_, *producers_[0]));
  at_ = 0;
  return absl::OkStatus();
}

void KafkaSink::Work() {
  KafkaProducer& producer = *producers_[at_];
  producer.Serve();
  inbox_.NoteStored(queue_.Fill(producer));
  const bool gave = !producer.empty();
  if (config_.kafka.exactly_once && gave) {
    producer.Commit(known_);
    at_ = (at_ + 1) % producers_.size();
  }
  inbox_.NoteStored(std::exchange(stored_chunks_, 0));
  if (!producer.status().ok()) {
    Tell(producer.status());
    if (producer.refused()) inbox_.GiveUp();
    return Disconnect();
  }
  if (!producer.empty()) return;
  backoff_.Reset();
  Tell(absl::OkStatus());
}

void KafkaSink::Disconnect() {
  // What is acknowledged yet need not be sent again.
  if (!config_.kafka.exactly_once && !producers_.empty()) producers_[0]->Flush();
  inbox_.NoteStored(std::exchange(stored_chunks_, 0));
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
  stored_chunks_ += queue_.OnStored(position);
}

void KafkaSink::Tell(const absl::Status& status) {
  const std::string text(status.message());
  if (text == std::exchange(trouble_, text) || !log_) return;
  log_(absl::StrCat("sink ", config_.name, ": ",
                    status.ok() ? "writes again" : text + "; its output is kept and tried again"));
}

}  // namespace bettong::ingest
