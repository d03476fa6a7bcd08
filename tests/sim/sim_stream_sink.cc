#include "tests/sim/sim_stream_sink.h"

#include <absl/strings/str_cat.h>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "ingest/backoff.h"
#include "ingest/receiver_session.h"
#include "ingest/stream_buffer.h"
#include "ingest/stream_sink_queue.h"

namespace bettong::sim {
namespace {

// What the kernels on the way hold.
constexpr size_t kOnItsWayBytesMax = 4'000;

class SimStreamSink final : public ingest::SinkRunner,
                            public ingest::ReceiverHost,
                            public ingest::OutputTaker,
                            public WireEnd {
 public:
  SimStreamSink(Scheduler& scheduler, uint32_t who, SimReceiver& receiver,
                const ingest::SinkConfig& config, ingest::StreamSinkOptions options,
                std::function<void(ingest::SinkChunk*)> stored)
      : scheduler_(scheduler),
        who_(who),
        receiver_(receiver),
        name_(config.name),
        node_id_(options.node_id),
        queue_(config.name, std::move(options), std::move(stored), {}) {}
  ~SimStreamSink() override {
    for (ingest::SinkChunk* chunk : inbox_) queue_.Take(chunk);
    if (wire_ != nullptr) wire_->Leave(SimWire::kFrom, scheduler_.OneIn(2));
  }

  void Start() override {
    ConnectLater(scheduler_.Below(5'000));
    TickLater();
  }
  void Send(ingest::SinkChunk* chunk) override {
    inbox_.push_back(chunk);
    WorkLater(scheduler_.Below(2'000));
  }
  bool Drain(std::chrono::steady_clock::time_point) override { return queue_.empty(); }
  void Stop() override { alive_.reset(); }

 private:
  void ConnectLater(uint64_t delay_us) {
    scheduler_.After(delay_us, who_, alive_, [this] { Connect(); });
  }
  void Connect() {
    if (!receiver_.up()) {
      return ConnectLater(static_cast<uint64_t>(backoff_.Next().count()) * 1000);
    }
    wire_ = std::make_shared<SimWire>(scheduler_, who_);
    wire_->Attach(SimWire::kFrom, this);
    buffer_ = ingest::StreamBuffer();
    output_.clear();
    session_ = std::make_unique<ingest::ReceiverSession>(
        *this, ingest::StreamOffer{.node_id = node_id_, .sink = name_, .token = ""}, output_,
        scheduler_.NowMs());
    receiver_.Accept(wire_);
    Look();
  }
  void TickLater() {
    scheduler_.After(250'000, who_, alive_, [this] {
      if (session_ != nullptr) session_->Tick(scheduler_.NowMs());
      Look();
      TickLater();
    });
  }
  void WorkLater(uint64_t delay_us) {
    if (std::exchange(working_, true)) return;
    scheduler_.After(delay_us, who_, alive_, [this] {
      working_ = false;
      for (ingest::SinkChunk* chunk : std::exchange(inbox_, {})) queue_.Take(chunk);
      Look();
    });
  }

  // Sends what there is room for, and ends what is dead.
  void Look() {
    if (session_ == nullptr) return;
    if (session_->resumed()) queue_.Fill(*this);
    wire_->Write(SimWire::kFrom, std::exchange(output_, {}));
    if (session_->closing()) return Disconnect(true);
    if (session_->resumed() && !takes_outputs()) WorkLater(1'000);
  }
  void Disconnect(bool sent) {
    if (session_ == nullptr) return;
    std::exchange(wire_, nullptr)->Leave(SimWire::kFrom, sent);
    session_ = nullptr;
    ConnectLater(static_cast<uint64_t>(backoff_.Next().count()) * 1000);
  }

  // WireEnd.
  void OnBytes(std::string_view bytes) override {
    for (const char byte : bytes) {
      buffer_.Writable()[0] = byte;
      buffer_.Commit(1);
    }
    buffer_.Consume(session_->Consume(buffer_.bytes(), scheduler_.NowMs()));
    Look();
  }
  void OnFinished() override { Disconnect(true); }
  void OnBroken() override { Disconnect(true); }
  bool reads() const override { return session_->wants_bytes(); }

  // ReceiverHost.
  void OnResume(std::span<const ingest::StreamPosition> positions) override {
    for (ingest::SinkChunk* chunk : std::exchange(inbox_, {})) queue_.Take(chunk);
    queue_.OnResume(positions, *this);
  }
  void OnStored(const ingest::StreamPosition& position) override {
    backoff_.Reset();
    queue_.OnStored(position);
  }
  void OnReceiverError(const ingest::StreamRefusal& refusal) override {
    receiver_.Complain(absl::StrCat("the receiver said ", std::string(refusal.text)));
  }
  void OnRefused(const ingest::StreamRefusal& refusal) override {
    receiver_.Complain(absl::StrCat("the receiver was refused: ", std::string(refusal.text)));
  }

  // OutputTaker.
  bool takes_outputs() const override {
    return session_ != nullptr && session_->takes_outputs() &&
           output_.size() + wire_->on_its_way_bytes(SimWire::kFrom) < kOnItsWayBytesMax;
  }
  bool Send(const ingest::StreamOutput& output) override { return session_->Send(output); }
  void Refuse(ingest::StreamError code, std::string_view text) override {
    receiver_.Complain(absl::StrCat("the node refuses the receiver: ", std::string(text)));
    session_->Refuse(code, text, scheduler_.NowMs());
  }

  Scheduler& scheduler_;
  const uint32_t who_;
  SimReceiver& receiver_;
  const std::string name_;
  const std::string node_id_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ingest::StreamSinkQueue queue_;
  std::vector<ingest::SinkChunk*> inbox_;
  bool working_ = false;
  ingest::Backoff backoff_{std::chrono::milliseconds(50), std::chrono::milliseconds(2'000)};

  // Of a connection.
  std::shared_ptr<SimWire> wire_;
  ingest::StreamBuffer buffer_;
  std::string output_;
  std::unique_ptr<ingest::ReceiverSession> session_;
};

}  // namespace

ingest::StreamSinkMaker MakeSimStreamSink(Scheduler& scheduler, uint32_t who,
                                          SimReceiver& receiver) {
  return [&scheduler, who, &receiver](const ingest::SinkConfig& config,
                                      ingest::StreamSinkOptions options,
                                      std::function<void(ingest::SinkChunk*)> stored) {
    return std::make_unique<SimStreamSink>(scheduler, who, receiver, config, std::move(options),
                                           std::move(stored));
  };
}

}  // namespace bettong::sim
