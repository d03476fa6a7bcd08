#include "ingest/kafka/kafka_reader.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdint>
#include <utility>

namespace bettong::ingest {
namespace {

using boost::system::error_code;

// Admission has no bell: who waits for it looks again so often.
constexpr std::chrono::milliseconds kAdmissionPoll{5};
// While little comes, and often: each round costs a wake of every thread on the way. All shards
// take at the same times, so that what they give each other and the log goes together.
constexpr std::chrono::milliseconds kTakeEvery{2};
// Positions and watermarks: each telling is a record of the log, and mail to every shard.
constexpr std::chrono::milliseconds kTellEvery{5};

}  // namespace

KafkaReader::KafkaReader(const ShardDoor& door, AdmissionNotice& admission)
    : door_(door),
      hold_(admission),
      wake_(door.shard->io(), wake_descriptor_.Give()),
      fetched_(door.shard->io()),
      poll_(door.shard->io()),
      tell_(door.shard->io()) {}

KafkaReader::~KafkaReader() = default;

void KafkaReader::Start() { WaitForRecords(); }

void KafkaReader::Stop() {
  stopped_ = true;
  error_code ignored;
  wake_.cancel(ignored);
  poll_.cancel();
  fetched_.cancel();
  tell_.cancel();
  for (const auto& partition : partitions_) partition->Stop();
  hold_.Set(Admission::kOpen);
}

KafkaPartition& KafkaReader::Add(std::unique_ptr<KafkaPartition> partition) {
  return *partitions_.emplace_back(std::move(partition));
}

void KafkaReader::WaitForRecords() {
  wake_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                   [this](const error_code& error) {
                     if (error || stopped_) return;
                     // What is fetched in small pieces is taken in larger ones.
                     const auto now = std::chrono::steady_clock::now();
                     if (now >= next_take_) return TakeFetched();
                     fetched_.expires_after(next_take_ - now);
                     fetched_.async_wait([this](const error_code& ended) {
                       if (!ended) TakeFetched();
                     });
                   });
}

void KafkaReader::TakeFetched() {
  wake_descriptor_.Clear();
  WaitForRecords();
  Take();
}

void KafkaReader::TakeSoon() {
  if (stopped_ || std::exchange(posted_, true)) return;
  boost::asio::post(door_.shard->io(), [this] {
    posted_ = false;
    Take();
  });
}

void KafkaReader::TellSoon() {
  if (stopped_ || std::exchange(telling_, true)) return;
  tell_.expires_after(kTellEvery);
  tell_.async_wait([this](const error_code& error) {
    telling_ = false;
    if (error) return;
    for (const auto& partition : partitions_) partition->Tell();
  });
}

void KafkaReader::TakeLater(std::chrono::steady_clock::duration after) {
  poll_.expires_after(after);
  poll_.async_wait([this](const error_code& error) {
    if (!error) Take();
  });
}

void KafkaReader::Take() {
  if (stopped_) return;
  if (const Admission admission = AdmissionOf(*door_.shard); admission != Admission::kOpen) {
    hold_.Set(admission);
    return TakeLater(kAdmissionPoll);
  }
  const auto now = std::chrono::steady_clock::now();
  next_take_ = now - now.time_since_epoch() % kTakeEvery + kTakeEvery;
  uint64_t bytes = 0;
  for (const auto& partition : partitions_) bytes += partition->bytes_pending();
  if (bytes >= kKafkaShardBytes) {
    hold_.Set(Admission::kWindowFull);
    return TakeLater(kAdmissionPoll);
  }
  bool more = false;
  bool full = false;
  for (size_t i = 0; i < partitions_.size() && door_.shard->AdmissionOpen(); ++i) {
    KafkaPartition& partition = *partitions_[(first_ + i) % partitions_.size()];
    more |= partition.Take();
    full |= partition.full();
  }
  ++first_;
  hold_.Set(full ? Admission::kWindowFull : Admission::kOpen);
  if (more || !door_.shard->AdmissionOpen()) TakeSoon();
}

bool KafkaReader::caught_up() const {
  return std::all_of(partitions_.begin(), partitions_.end(),
                     [](const auto& each) { return each->caught_up(); });
}

}  // namespace bettong::ingest
