#include "ingest/kafka/kafka_partition.h"

#include <absl/strings/str_cat.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/json_text.h"
#include "base/key_hash.h"

namespace bettong::ingest {
namespace {

// A golden section of the slots lies between neighbours, so that few or many are spread evenly.
constexpr uint32_t kHomeStep = 10'125;

}  // namespace

std::string KafkaEndpoint(std::string_view source, std::string_view topic, int32_t partition) {
  return absl::StrCat("source:", std::string(source), "/", std::string(topic), "/", partition);
}

Slot KafkaHome(std::string_view topic, int32_t partition) {
  const uint32_t first = SlotOfKey(topic).value();
  return Slot(
      static_cast<uint16_t>((first + static_cast<uint64_t>(partition) * kHomeStep) % kSlotCount));
}

int64_t FirstOffset(const InputState& state) {
  const auto next = static_cast<int64_t>(state.durable);
  return state.fingerprint != 0 ? next - 1 : next;
}

KafkaPartition::KafkaPartition(const ShardDoor& door, const SourceConfig& config, StreamId stream,
                               SourceCounters& counters, std::shared_ptr<KafkaView> view,
                               const InputState& state, Callbacks callbacks)
    : door_(door),
      config_(config),
      counters_(counters),
      view_(std::move(view)),
      callbacks_(std::move(callbacks)),
      endpoint_(KafkaEndpoint(config.name, view_->topic, view_->number)),
      input_(*door.shard, *door.gate, stream, counters, endpoint_,
             KafkaHome(view_->topic, view_->number), state,
             {.logged = [this] { OnLogged(); }, .done = [this] { OnDone(); }}),
      record_(config.kafka, config.format),
      lines_(MakeLineReader(config.format)) {
  InputChannel& channel = input_.channel();
  SetChannel(state.incarnation);
  const bool raw = config.format.format == SourceFormat::kRaw;
  channel.lines = raw ? &record_ : lines_.get();
  channel.beside = raw || record_.nothing_beside() ? nullptr : &record_;
}

void KafkaPartition::SetChannel(uint64_t incarnation) {
  input_.SetChannel(incarnation == 0 ? endpoint_ : absl::StrCat(endpoint_, "#", incarnation));
  std::string place = "\"source\":";
  AppendJsonString(config_.name, place);
  place += ",\"topic\":";
  AppendJsonString(view_->topic, place);
  absl::StrAppend(&place, ",\"partition\":", view_->number);
  if (OriginPlaces* places = door_.shard->shard().origin_places()) {
    places->Set(input_.channel().origin.channel, std::move(place));
  }
}

void KafkaPartition::Join() {
  door_.gate->Join(input_.channel());
  announces_ = true;
  input_.SetState(input_.state());
  OnLogged();
}

void KafkaPartition::Restart(const InputState& state) {
  next_ = std::make_unique<InputState>(state);
  OnLogged();
}

void KafkaPartition::OnLogged() {
  Publish();
  // What was done while that was being written.
  if (topic_ != nullptr && input_.has_news()) callbacks_.news();
  if (!input_.idle()) return;
  if (trouble_ != nullptr) callbacks_.stopped(*std::exchange(trouble_, nullptr), state());
  if (next_ != nullptr) {
    const InputState state = *std::exchange(next_, nullptr);
    announces_ = true;
    SetChannel(state.incarnation);
    input_.SetState(state);
    if (!input_.idle()) return;  // comes again
  }
  if (std::exchange(announces_, false)) callbacks_.ready();
}

void KafkaPartition::Start(rd_kafka_topic_s* topic, rd_kafka_queue_s* queue) {
  topic_ = topic;
  queue_ = queue;
  most_fetched_ = 0;
  verifies_ = state().fingerprint != 0;
  last_id_ = state().durable;
  end_ = -1;
  reads_ = false;
  view_->active_ms.store(door_.shard->now_ms(), std::memory_order_relaxed);
  input_.SetLazy(true);
  view_->state.store(KafkaState::kReading);
  Publish();
}

void KafkaPartition::Stop() {
  topic_ = nullptr;
  full_ = false;
  input_.SetLazy(false);
}

void KafkaPartition::OnDone() {
  Publish();
  if (topic_ != nullptr) callbacks_.news();
  const bool room = input_.events_pending() <= kKafkaWindowRecords / 2 &&
                    input_.bytes_pending() <= kKafkaWindowBytes / 2;
  if (full_ && room) {
    full_ = false;
    callbacks_.room();
  }
}

bool KafkaPartition::Take() {
  if (topic_ == nullptr) return false;
  if (view_->suspect.exchange(false)) {
    Fail(KafkaTrouble::Kind::kSuspect, 0, "");
    OnLogged();
    return false;
  }
  if (full_ || rd_kafka_queue_length(queue_) == 0) return false;
  full_ =
      input_.events_pending() >= kKafkaWindowRecords || input_.bytes_pending() >= kKafkaWindowBytes;
  if (full_) return false;
  std::array<rd_kafka_message_t*, kKafkaBatchRecords> batch;
  const ssize_t taken =
      rd_kafka_consume_batch(topic_, view_->number, 0, batch.data(), batch.size());
  if (taken <= 0) return false;
  // Whatever was fetched after it was suspected is dropped, and fetched again if it is the same.
  const bool suspect = view_->suspect.exchange(false);
  uint64_t bytes = 0;
  const uint64_t taken_before = last_id_;
  const auto count = static_cast<size_t>(taken);
  size_t last = 0;  // record that is routed; behind it there are ends and errors
  for (size_t i = 0; i < count; ++i) {
    if (batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) last = i;
    if (batch[i]->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        batch[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      break;
    }
  }
  for (size_t i = 0; i < count; ++i) {
    bytes += batch[i]->len;
    if (topic_ != nullptr && !suspect) TakeOne(*batch[i], i == last);
    rd_kafka_message_destroy(batch[i]);
  }
  counters_.bytes.fetch_add(bytes, std::memory_order_relaxed);
  input_.EndRead();
  if (suspect) Fail(KafkaTrouble::Kind::kSuspect, 0, "");
  if (last_id_ > taken_before) {
    view_->active_ms.store(door_.shard->now_ms(), std::memory_order_relaxed);
    view_->had_events.store(true, std::memory_order_relaxed);
  }
  if (trouble_ != nullptr) {
    OnLogged();
    return false;
  }
  TellIfLow();
  return count == batch.size();
}

void KafkaPartition::TakeOne(const rd_kafka_message_t& message, bool last) {
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    end_ = message.offset;
    ends_seen_ = true;
    view_->SetError("");
    return Publish();
  }
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const bool gone = message.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                      message.err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    return Fail(gone ? KafkaTrouble::Kind::kOutOfRange : KafkaTrouble::Kind::kError, message.err,
                rd_kafka_message_errstr(&message));
  }
  const uint64_t id = static_cast<uint64_t>(message.offset) + 1;
  if (std::exchange(verifies_, false) && id == last_id_ &&
      FingerprintOf(message) != state().fingerprint) {
    return Fail(KafkaTrouble::Kind::kAnother, 0, "");
  }
  if (id <= last_id_) return;
  if (!std::exchange(reads_, true)) view_->SetError("");
  last_id_ = id;
  record_.Set(message);
  Frame frame{.kind = Frame::Kind::kFrame};
  if (message.len > config_.frame_bytes_max) {
    frame.kind = Frame::Kind::kTooLong;
    frame.text = {static_cast<const char*>(message.payload),
                  std::min(message.len, kFrameEvidenceBytesMax)};
    frame.size_bytes = message.len;
  } else if (config_.format.format == SourceFormat::kRaw) {
    frame.text = {static_cast<const char*>(message.payload), message.len};
  } else {
    // A tombstone is what JSON calls null. The decoder reads beyond the end.
    if (message.payload == nullptr) {
      text_.assign("null");
    } else {
      text_.assign(static_cast<const char*>(message.payload), message.len);
    }
    const size_t size = text_.size();
    text_.append(kFramePaddingBytes, '\0');
    frame.text = std::string_view(text_).substr(0, size);
  }
  input_.Route(id, frame, last ? FingerprintOf(message) : 0);
}

void KafkaPartition::TellIfLow() {
  const size_t fetched = rd_kafka_queue_length(queue_);
  most_fetched_ = std::max(most_fetched_, fetched);
  if (most_fetched_ < kKafkaBatchRecords || fetched > most_fetched_ / 2) return;
  most_fetched_ = fetched;
  callbacks_.low();
}

void KafkaPartition::Fail(KafkaTrouble::Kind kind, int error, std::string words) {
  Stop();
  trouble_ = std::make_unique<KafkaTrouble>(
      KafkaTrouble{.kind = kind, .error = error, .words = std::move(words)});
}

void KafkaPartition::Publish() {
  auto position = static_cast<int64_t>(input_.logged().durable);
  // Behind the last record there may be marks of transactions, which are no records.
  if (input_.idle() && end_ > position) position = end_;
  view_->position.store(position, std::memory_order_relaxed);
}

void KafkaPartition::LeaveAt(int64_t position) {
  if (topic_ == nullptr || !input_.idle()) return;
  Publish();
  if (view_->position.load(std::memory_order_relaxed) == position) input_.Leave(/*at_end=*/false);
}

}  // namespace bettong::ingest
