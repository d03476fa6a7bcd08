#include "tests/sim/sim_sender.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/simulation.h"

namespace bettong::sim {
namespace {

using ingest::StreamDefect;
using ingest::StreamFrame;
using ingest::StreamFrameType;

constexpr uint32_t kSenderWho = 40;

}  // namespace

class SimSender::Older final : public WireEnd {
 public:
  Older(SimSender& sender, uint64_t incarnation)
      : sender_(sender), wire_(sender.node_.Accept(sender.source_)) {
    wire_->Attach(SimWire::kFrom, this);
    std::string hello;
    ingest::AppendHello(hello, {.incarnation = incarnation, .source = sender.name_, .token = ""});
    wire_->Write(SimWire::kFrom, hello);
  }
  ~Older() { wire_->Leave(SimWire::kFrom, true); }

  void OnBytes(std::string_view bytes) override {
    in_.append(bytes);
    const StreamFrame frame =
        ingest::ScanStreamFrame(in_, {StreamFrameType::kWelcome, StreamFrameType::kError});
    if (frame.kind == StreamFrame::Kind::kMore) return;
    ingest::StreamRefusal refusal;
    if (!frame.Is(StreamFrameType::kError) ||
        Decode(frame.payload, refusal) != StreamDefect::kNone ||
        refusal.code != ingest::StreamError::kFenced) {
      return sender_.Complain("an older process is not fenced");
    }
    BETTONG_SOMETIMES(older_process_fenced);
  }
  void OnFinished() override {}
  void OnBroken() override {}

 private:
  SimSender& sender_;
  const std::shared_ptr<SimWire> wire_;
  std::string in_;
};

SimSender::SimSender(Scheduler& scheduler, SimNode& node, size_t source, std::string name,
                     std::vector<std::string> events)
    : scheduler_(scheduler), node_(node), source_(source), name_(std::move(name)) {
  uint64_t id = 0;
  for (std::string& text : events) {
    // Rising, not contiguous.
    id += 1 + scheduler_.Below(3);
    kept_.push_back({id, std::move(text)});
  }
}

SimSender::~SimSender() {
  if (wire_ != nullptr) wire_->Leave(SimWire::kFrom, false);
}

std::string SimSender::Describe() const {
  return absl::StrCat(name_, " (", kept_.size(), " events left, ", acknowledged_, " acknowledged, ",
                      sent_on_wire_, " sent, ",
                      wire_ == nullptr ? "no connection"
                      : open_          ? "open"
                                       : "asked",
                      ")");
}

void SimSender::Run() {
  if (connecting_ || wire_ != nullptr || done()) return;
  connecting_ = true;
  scheduler_.After(scheduler_.Below(20'000), kSenderWho, alive_, [this] {
    connecting_ = false;
    Connect();
  });
}

void SimSender::Connect() {
  if (!node_.up()) return Run();
  wire_ = node_.Accept(source_);
  wire_->Attach(SimWire::kFrom, this);
  in_.clear();
  open_ = false;
  allowed_ = count_ = sent_on_wire_ = 0;
  std::string hello;
  ingest::AppendHello(hello, {.incarnation = incarnation_, .source = name_, .token = ""});
  wire_->Write(SimWire::kFrom, hello);
}

void SimSender::LeaveWire() {
  if (wire_ != nullptr) std::exchange(wire_, nullptr)->Leave(SimWire::kFrom, scheduler_.OneIn(2));
  Run();
}

void SimSender::Cut() {
  if (wire_ == nullptr || !scheduler_.OneIn(3)) return LeaveWire();
  BETTONG_SOMETIMES(connection_dead_and_nobody_told);
  std::exchange(wire_, nullptr)->GoDead();
  Run();
}

void SimSender::Restart() {
  ++incarnation_;
  // The older process's connection, and what it said last, may be there when the new one comes.
  Cut();
}

// Once the newer one has been welcomed, whatever has crashed since.
void SimSender::LetOlderTry() {
  if (incarnation_ == 1 || !scheduler_.OneIn(4)) return;
  scheduler_.After(scheduler_.Below(200'000), kSenderWho, alive_, [this, older = incarnation_ - 1] {
    if (node_.up()) older_ = std::make_unique<Older>(*this, older);
  });
}

void SimSender::OnBytes(std::string_view bytes) {
  in_.append(bytes);
  while (wire_ != nullptr) {
    const StreamFrame frame = ingest::ScanStreamFrame(
        in_, {StreamFrameType::kWelcome, StreamFrameType::kAcknowledge, StreamFrameType::kError,
              StreamFrameType::kPing, StreamFrameType::kPong});
    if (frame.kind == StreamFrame::Kind::kMore) return;
    if (frame.kind == StreamFrame::Kind::kMalformed)
      return Complain("gets bytes that are no frame");
    const std::string whole = in_.substr(0, frame.bytes);
    in_.erase(0, frame.bytes);
    StreamFrame taken = frame;
    taken.payload = std::string_view(whole).substr(ingest::kStreamHeaderBytes);
    Take(taken);
  }
}

void SimSender::Take(const StreamFrame& frame) {
  if (frame.Is(StreamFrameType::kWelcome)) {
    ingest::StreamWelcome welcome;
    if (Decode(frame.payload, welcome) != StreamDefect::kNone || open_) {
      return Complain("gets a WELCOME that is malformed, or a second one");
    }
    OnWelcome(welcome.grant);
  } else if (frame.Is(StreamFrameType::kAcknowledge)) {
    ingest::StreamGrant grant;
    if (Decode(frame.payload, grant) != StreamDefect::kNone || !open_) {
      return Complain("gets an ACK that is malformed, or before WELCOME");
    }
    OnAcknowledged(grant);
  } else if (frame.Is(StreamFrameType::kPing)) {
    std::string pong;
    ingest::AppendPong(pong, ingest::DecodePing(frame.payload));
    wire_->Write(SimWire::kFrom, pong);
  } else if (frame.Is(StreamFrameType::kError)) {
    ingest::StreamRefusal refusal;
    Decode(frame.payload, refusal);
    Complain(absl::StrCat("gets ERROR ", std::string(StreamErrorName(refusal.code)), " ",
                          std::string(refusal.text)));
  }
}

void SimSender::OnWelcome(const ingest::StreamGrant& grant) {
  if (grant.durable < acknowledged_) {
    Complain(absl::StrCat("WELCOME ", grant.durable, " after ACK ", acknowledged_));
  }
  if (grant.durable > sent_) {
    Complain(absl::StrCat("WELCOME ", grant.durable, ", sent up to ", sent_));
  }
  open_ = true;
  allowed_ = grant.allowed;
  sent_on_wire_ = grant.durable;
  Forget(grant.durable);
  SendSome();
  LetOlderTry();
}

void SimSender::OnAcknowledged(const ingest::StreamGrant& grant) {
  if (grant.durable > sent_on_wire_ || grant.durable < acknowledged_) {
    Complain(absl::StrCat("ACK ", grant.durable, ", sent up to ", sent_on_wire_, ", acknowledged ",
                          acknowledged_));
  }
  allowed_ = std::max(allowed_, grant.allowed);
  Forget(grant.durable);
  SendSome();
}

void SimSender::Forget(uint64_t durable) {
  acknowledged_ = std::max(acknowledged_, durable);
  while (!kept_.empty() && kept_.front().id <= durable) kept_.pop_front();
  if (kept_.empty() && wire_ != nullptr) wire_->Finish(SimWire::kFrom);
}

void SimSender::SendSome() {
  if (!open_ || std::exchange(sending_, true)) return;
  scheduler_.After(scheduler_.Below(800), kSenderWho, alive_, [this] {
    sending_ = false;
    if (!open_ || wire_ == nullptr) return;
    uint64_t chunk = 1 + scheduler_.Below(12);
    uint64_t outstanding = 0;
    std::string said;
    for (const Event& event : kept_) {
      if (++outstanding > kWindow || chunk == 0 || count_ >= allowed_) break;
      if (event.id <= sent_on_wire_) continue;
      if (event.id <= sent_) BETTONG_SOMETIMES(event_sent_again);
      --chunk;
      ++count_;
      ingest::AppendMessage(said, {.id = event.id, .event = event.text});
      sent_on_wire_ = event.id;
      sent_ = std::max(sent_, event.id);
    }
    if (said.empty()) return;
    wire_->Write(SimWire::kFrom, said);
    SendSome();
  });
}

void SimSender::Complain(const std::string& what) {
  if (complaint_.empty()) complaint_ = absl::StrCat(name_, ": ", what);
}

}  // namespace bettong::sim
