#include "tests/sim/sim_receiver.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/simulation.h"

namespace bettong::sim {
namespace {

using ingest::StreamDefect;
using ingest::StreamFrame;
using ingest::StreamFrameType;
using ingest::StreamPosition;

constexpr uint32_t kReceiverWho = 50;

std::vector<StreamPosition> PositionsOf(const std::map<uint16_t, uint64_t>& by_partition) {
  std::vector<StreamPosition> positions;
  for (const auto& [partition, sequence] : by_partition) {
    positions.push_back({PartitionId(partition), sequence});
  }
  return positions;
}

}  // namespace

class SimReceiver::Connection final : public WireEnd {
 public:
  Connection(SimReceiver& receiver, std::shared_ptr<SimWire> wire)
      : receiver_(receiver), wire_(std::move(wire)) {
    wire_->Attach(SimWire::kTo, this);
  }
  ~Connection() { wire_->Leave(SimWire::kTo, receiver_.scheduler_.OneIn(2)); }

  void OnBytes(std::string_view bytes) override {
    in_.append(bytes);
    while (true) {
      const StreamFrame frame = ingest::ScanStreamFrame(
          in_, {StreamFrameType::kOffer, StreamFrameType::kOutput, StreamFrameType::kPing,
                StreamFrameType::kPong, StreamFrameType::kError});
      if (frame.kind == StreamFrame::Kind::kMore) return;
      if (frame.kind == StreamFrame::Kind::kMalformed) {
        return receiver_.Complain("the receiver gets bytes that are no frame");
      }
      Take(frame);
      in_.erase(0, frame.bytes);
    }
  }
  void OnFinished() override {}
  void OnBroken() override { broken_ = true; }
  bool broken() const { return broken_; }

  void Say(std::string_view bytes) { wire_->Write(SimWire::kTo, bytes); }
  bool resumed() const { return resumed_; }

 private:
  void Take(const StreamFrame& frame) {
    if (frame.Is(StreamFrameType::kOffer)) return TakeOffer(frame);
    if (frame.Is(StreamFrameType::kOutput)) {
      ingest::StreamOutput output;
      if (Decode(frame.payload, output) != StreamDefect::kNone) {
        return receiver_.Complain("the receiver gets an OUT that is malformed");
      }
      return receiver_.Take(output);
    }
    if (frame.Is(StreamFrameType::kPing)) {
      std::string pong;
      ingest::AppendPong(pong, ingest::DecodePing(frame.payload));
      return Say(pong);
    }
    if (frame.Is(StreamFrameType::kError)) {
      ingest::StreamRefusal refusal;
      Decode(frame.payload, refusal);
      receiver_.Complain(
          absl::StrCat("the node says ERROR to the receiver: ", std::string(refusal.text)));
    }
  }

  void TakeOffer(const StreamFrame& frame) {
    ingest::StreamOffer offer;
    if (Decode(frame.payload, offer) != StreamDefect::kNone) {
      return receiver_.Complain("the receiver gets an OFFER that is malformed");
    }
    if (receiver_.node_id_ != offer.node_id) {
      if (!receiver_.stored_.empty()) {
        return receiver_.Complain("the node has another id than the outputs before");
      }
      receiver_.node_id_ = std::string(offer.node_id);
    }
    std::string resume;
    ingest::AppendResume(resume, {.positions = PositionsOf(receiver_.stored_)});
    if (!receiver_.stored_.empty()) BETTONG_SOMETIMES(receiver_resumes);
    resumed_ = true;
    Say(resume);
  }

  SimReceiver& receiver_;
  const std::shared_ptr<SimWire> wire_;
  std::string in_;
  bool resumed_ = false;
  bool broken_ = false;
};

SimReceiver::SimReceiver(Scheduler& scheduler) : scheduler_(scheduler) {}
SimReceiver::~SimReceiver() = default;

void SimReceiver::Accept(std::shared_ptr<SimWire> wire) {
  // A new connection takes the place of the older one; what that brought is lost, or was stored
  // without a word.
  pending_.clear();
  taken_ = stored_;
  connection_ = nullptr;
  connection_ = std::make_unique<Connection>(*this, std::move(wire));
}

void SimReceiver::Crash() {
  if (!up_) return;
  if (!pending_.empty()) BETTONG_SOMETIMES(receiver_crashes_with_outputs_not_stored);
  Cut();
  up_ = false;
  scheduler_.After(scheduler_.Below(100'000), kReceiverWho, alive_, [this] { up_ = true; });
}

void SimReceiver::Cut() {
  pending_.clear();
  connection_ = nullptr;
}

void SimReceiver::Take(const ingest::StreamOutput& output) {
  uint64_t& taken = taken_[output.position.partition.value()];
  if (output.position.sequence <= taken) {
    return Complain(absl::StrCat("OUT ", output.position.sequence, " of partition ",
                                 output.position.partition.value(), " comes behind ", taken));
  }
  taken = output.position.sequence;
  pending_.push_back({output.position, absl::StrCat(std::string(output.event), "\n")});
  StoreLater();
}

void SimReceiver::StoreLater() {
  if (std::exchange(storing_, true)) return;
  const uint64_t delay_us =
      scheduler_.OneIn(30) ? scheduler_.Below(60'000) : scheduler_.Below(4'000);
  scheduler_.After(delay_us, kReceiverWho, alive_, [this] {
    storing_ = false;
    Store();
    if (!pending_.empty()) StoreLater();
  });
}

// A transaction: some of what is pending, and the positions.
void SimReceiver::Store() {
  if (pending_.empty() || connection_ == nullptr) return;
  const size_t count =
      scheduler_.OneIn(3) ? 1 + scheduler_.Below(pending_.size()) : pending_.size();
  std::map<uint16_t, uint64_t> risen;
  for (size_t i = 0; i < count; ++i) {
    lines_ += pending_[i].line;
    const uint16_t partition = pending_[i].position.partition.value();
    risen[partition] = stored_[partition] = pending_[i].position.sequence;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(count));
  std::string said;
  const std::vector<StreamPosition> positions = PositionsOf(risen);
  ingest::AppendStored(said, positions);
  // It may be gone before it has said so.
  if (scheduler_.OneIn(20)) return Cut();
  connection_->Say(said);
}

void SimReceiver::Complain(std::string what) {
  if (complaint_.empty()) complaint_ = std::move(what);
}

}  // namespace bettong::sim
