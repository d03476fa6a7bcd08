#include "ingest/stream_actor.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/simulation.h"

namespace bettong::ingest {
namespace {

constexpr uint8_t kStateVersion = 1;

}  // namespace

std::string StreamActor::State::Encode() const {
  std::string encoded;
  ByteWriter out(encoded);
  out.Fixed(kStateVersion);
  out.Fixed(BETTONG_PLANTED(incarnation_forgotten) ? uint64_t{1} : incarnation);
  out.Fixed(durable);
  return encoded;
}

std::optional<StreamActor::State> StreamActor::State::Decode(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.Fixed<uint8_t>() != kStateVersion) return std::nullopt;
  State state;
  state.incarnation = in.Fixed<uint64_t>();
  state.durable = in.Fixed<uint64_t>();
  if (!in.ok() || !in.empty()) return std::nullopt;
  return state;
}

// The events of one read. Open until the read is over: it counts as a consequence of its own.
class StreamActor::Span final : public grid::SourceControl {
 public:
  Span(StreamActor& actor, grid::ShardLoop& shard)
      : actor_(actor),
        shard_(shard),
        source_(shard.AddSource(this, &actor.channel_.counters->outstanding)) {
    Count(+1);
  }
  ~Span() { shard_.RemoveSource(source_); }

  void Close() { Count(-1); }
  void OnCredit() override {
    if (done_ || shard_.WorkOutstanding(source_) > 0) return;
    done_ = true;
    actor_.OnSpanDone();
  }
  grid::SourceRef source() const { return source_; }
  bool done() const { return done_; }

  uint64_t last_id = 0;
  TimeMs seen_ms = kNoTime;  // event time, the highest up to its end

 private:
  void Count(int32_t delta) {
    const grid::Credit credit{.source = source_, .delta = delta};
    shard_.SendCredits({&credit, 1});
  }

  StreamActor& actor_;
  grid::ShardLoop& shard_;
  const grid::SourceRef source_;
  bool done_ = false;
};

StreamActor::StreamActor(grid::ShardLoop& shard, Gate& gate, StreamId stream,
                         SourceCounters& counters, std::string endpoint, Slot home,
                         const State& state)
    : shard_(shard),
      gate_(gate),
      endpoint_(std::move(endpoint)),
      home_(home),
      state_(state),
      logged_(state) {
  channel_.SetSource(shard_.AddSource(this));
  channel_.stream = stream;
  channel_.name = endpoint_;
  channel_.counters = &counters;
  channel_.origin.channel = grid::SourceChannel(endpoint_, home_);
}

StreamActor::~StreamActor() {
  spans_.clear();
  shard_.RemoveSource(channel_.source);
}

void StreamActor::Connect(SourceLink& link, const StreamHello& hello) {
  if (hello.incarnation < state_.incarnation) {
    link.Refuse(StreamError::kFenced,
                absl::StrCat("a newer process sends as this source (incarnation ",
                             state_.incarnation, ", not ", hello.incarnation, ")"));
    return;
  }
  // Whoever was here before goes: without a word if it is the same process.
  const bool same = hello.incarnation == state_.incarnation;
  if (link_ != nullptr) EndRead(*link_);
  for (SourceLink* older : {std::exchange(link_, nullptr), std::exchange(waiting_, nullptr)}) {
    if (older == nullptr) continue;
    leaving_ = true;
    if (same) {
      older->Close();
    } else {
      older->Refuse(StreamError::kFenced, "a newer process sends as this source now");
    }
  }
  state_.incarnation = hello.incarnation;
  waiting_ = &link;
  LeaveWhenDone();
  Write();
  WelcomeIfReady();
}

// The older connection's events are durable, and the log has this incarnation: from here on an
// older one is fenced whatever crashes.
void StreamActor::WelcomeIfReady() {
  if (waiting_ == nullptr) return;
  if (!idle() && !BETTONG_PLANTED(welcome_before_all_is_durable)) return;
  link_ = std::exchange(waiting_, nullptr);
  link_->Welcome(logged_.durable);
}

void StreamActor::Route(SourceLink& link, uint64_t id, std::string_view event) {
  if (&link != link_) return;
  if (open_ == nullptr) {
    leaving_ = false;
    open_ = spans_.emplace_back(std::make_unique<Span>(*this, shard_)).get();
  }
  open_->last_id = id;
  channel_.origin.source = open_->source();
  channel_.origin.position = id;
  channel_.origin.low_water = logged_.durable + 1;
  gate_.RouteFrame(channel_, {.kind = Frame::Kind::kFrame, .text = event});
}

void StreamActor::EndRead(SourceLink& link) {
  if (&link != link_ || open_ == nullptr) return;
  if (BETTONG_PLANTED(watermark_ahead_of_effects)) {
    gate_.EndRead(channel_);
  } else {
    gate_.SendRead(channel_);
  }
  open_->seen_ms = channel_.seen_ms;
  std::exchange(open_, nullptr)->Close();
}

void StreamActor::Disconnect(SourceLink& link) {
  if (&link == waiting_) waiting_ = nullptr;
  if (&link != link_) return;
  EndRead(link);
  link_ = nullptr;
  leaving_ = true;
  LeaveWhenDone();
}

void StreamActor::LeaveWhenDone() {
  if (!leaving_ || !spans_.empty()) return;
  // Not inside of what gives credits back; and not if it sends again by then.
  shard_.Defer([this] {
    if (!leaving_ || !spans_.empty()) return;
    leaving_ = false;
    gate_.Leave(channel_, /*at_end=*/true);
  });
}

void StreamActor::OnSpanDone() {
  if (BETTONG_PLANTED(ack_not_contiguous)) {
    for (const auto& span : spans_) {
      if (span->done()) state_.durable = std::max(state_.durable, span->last_id);
    }
  }
  TimeMs done_ms = kNoTime;
  while (!spans_.empty() && spans_.front()->done()) {
    state_.durable = std::max(state_.durable, spans_.front()->last_id);
    done_ms = spans_.front()->seen_ms;
    spans_.pop_front();
  }
  // The log knows of the event time no later than of the events' being done: nobody might send
  // anything again that tells it.
  if (gate_.Announce(channel_, done_ms)) {
    ++telling_;
    shard_.Defer([this] {
      --telling_;
      Write();
    });
  }
  LeaveWhenDone();
  Write();
}

void StreamActor::Write() {
  if (writing_ || telling_ > 0 || logged_ == state_) return;
  writing_ = true;
  writing_state_ = state_;
  const grid::Credit begun{.source = channel_.source, .delta = +1};
  const grid::Credit durable{.source = channel_.source, .delta = -1};
  shard_.SendCredits({&begun, 1});
  shard_.SetEndpoint(home_, endpoint_, writing_state_.Encode(), {&durable, 1});
}

void StreamActor::OnCredit() {
  if (!writing_ || shard_.WorkOutstanding(channel_.source) > 0) return;
  writing_ = false;
  const bool risen = writing_state_.durable > logged_.durable;
  logged_ = writing_state_;
  if (risen && link_ != nullptr) link_->Acknowledge(logged_.durable);
  Write();
  WelcomeIfReady();
}

}  // namespace bettong::ingest
