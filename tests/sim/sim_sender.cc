#include "tests/sim/sim_sender.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/simulation.h"
#include "ingest/json_document.h"

namespace bettong::sim {
namespace {

constexpr uint32_t kSenderWho = 40;

}  // namespace

// A connection. What the node says reaches the sender a little later, in order, or never.
class SimSender::Link final : public ingest::SourceLink {
 public:
  Link(SimSender& sender, ingest::SourceActor& actor) : sender_(sender), actor_(actor) {}

  void Welcome(uint64_t durable) override {
    Say([durable](SimSender& sender) { sender.OnWelcome(durable); });
  }
  void Acknowledge(uint64_t durable) override {
    Say([durable](SimSender& sender) { sender.OnAcknowledged(durable); });
  }
  void Refuse(ingest::StreamError, std::string_view) override { Close(); }
  void Close() override {
    closed_ = true;
    Say([](SimSender& sender) { sender.OnClosed(); });
  }

  ingest::SourceActor& actor() { return actor_; }
  bool closed() const { return closed_; }

 private:
  void Say(std::function<void(SimSender&)> what) {
    Scheduler& scheduler = sender_.scheduler_;
    said_us_ = std::max(said_us_, scheduler.now_us() + scheduler.Below(500)) + 1;
    scheduler.After(said_us_ - scheduler.now_us(), kSenderWho, alive_,
                    [this, what = std::move(what)] { what(sender_); });
  }

  SimSender& sender_;
  ingest::SourceActor& actor_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  uint64_t said_us_ = 0;
  bool closed_ = false;
};

SimSender::SimSender(Scheduler& scheduler, SimNode& node, size_t source, std::string name,
                     std::vector<std::string> events)
    : scheduler_(scheduler), node_(node), source_(source), name_(std::move(name)) {
  uint64_t id = 0;
  for (std::string& text : events) {
    // Rising, not contiguous.
    id += 1 + scheduler_.Below(3);
    text.append(ingest::kFramePaddingBytes, '\0');
    kept_.push_back({id, std::move(text)});
  }
}

SimSender::~SimSender() = default;

std::string SimSender::Describe() const {
  return absl::StrCat(name_, " (", kept_.size(), " events left, ", acknowledged_, " acknowledged, ",
                      sent_on_link_, " sent, ",
                      link_ == nullptr ? "no link"
                      : open_          ? "open"
                                       : "asked",
                      ")");
}

void SimSender::Run() {
  if (connecting_ || link_ != nullptr || done()) return;
  connecting_ = true;
  scheduler_.After(scheduler_.Below(20'000), kSenderWho, alive_, [this] {
    connecting_ = false;
    Connect();
  });
}

void SimSender::Connect() {
  if (!node_.up()) return Run();
  ingest::SourceActor* actor = node_.FindActor(source_, name_);
  link_ = std::make_unique<Link>(*this, *actor);
  open_ = false;
  ingest::StreamHello hello;
  hello.incarnation = incarnation_;
  hello.source = name_;
  actor->Connect(*link_, hello);
}

void SimSender::Cut(bool node_is_gone) {
  if (link_ != nullptr && !node_is_gone) link_->actor().Disconnect(*link_);
  link_.reset();
  open_ = false;
  Run();
}

void SimSender::Restart() {
  ++incarnation_;
  // The older process's connection is still there when the new one comes.
  std::unique_ptr<Link> older = std::move(link_);
  if (older != nullptr) older->actor().Disconnect(*older);
  open_ = false;
  Run();
}

void SimSender::OnWelcome(uint64_t durable) {
  if (durable < acknowledged_) {
    complaint_ = absl::StrCat(name_, ": WELCOME ", durable, " after ACK ", acknowledged_);
  }
  if (durable > sent_) {
    complaint_ = absl::StrCat(name_, ": WELCOME ", durable, ", sent up to ", sent_);
  }
  Forget(durable);
  open_ = true;
  sent_on_link_ = durable;
  SendSome();
}

void SimSender::OnAcknowledged(uint64_t durable) {
  if (durable > sent_on_link_) {
    complaint_ = absl::StrCat(name_, ": ACK ", durable, ", sent up to ", sent_on_link_);
  }
  Forget(durable);
  SendSome();
}

void SimSender::Forget(uint64_t durable) {
  acknowledged_ = std::max(acknowledged_, durable);
  while (!kept_.empty() && kept_.front().id <= durable) kept_.pop_front();
}

void SimSender::OnClosed() { Cut(false); }

void SimSender::SendSome() {
  if (!open_ || std::exchange(sending_, true)) return;
  scheduler_.After(scheduler_.Below(800), kSenderWho, alive_, [this] {
    sending_ = false;
    if (!open_ || link_ == nullptr || link_->closed()) return;
    // The home shard's thread is what reads.
    uint64_t chunk = 1 + scheduler_.Below(12);
    uint64_t outstanding = 0;
    bool any = false;
    for (const Event& event : kept_) {
      if (++outstanding > kWindow || chunk == 0) break;
      if (event.id <= sent_on_link_) continue;
      if (event.id <= sent_) {
        ++resent_;
        BETTONG_SOMETIMES(event_sent_again);
      }
      --chunk;
      any = true;
      const std::string_view text =
          std::string_view(event.text).substr(0, event.text.size() - ingest::kFramePaddingBytes);
      link_->actor().Route(*link_, event.id, text);
      sent_on_link_ = event.id;
      sent_ = std::max(sent_, event.id);
    }
    if (!any) return;
    link_->actor().EndRead(*link_);
    SendSome();
  });
}

}  // namespace bettong::sim
