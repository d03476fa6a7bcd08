#include "ingest/replayable_input.h"

#include <algorithm>
#include <utility>

#include "base/simulation.h"

namespace bettong::ingest {

// The events of one read. Open until the read is over: it counts as a consequence of its own.
class ReplayableInput::Span final : public grid::SourceControl {
 public:
  Span(ReplayableInput& input, grid::ShardLoop& shard)
      : input_(input),
        shard_(shard),
        source_(shard.AddSource(this, &input.channel_.counters->outstanding)) {
    Count(+1);
  }
  ~Span() { shard_.RemoveSource(source_); }

  void Close() { Count(-1); }
  void OnCredit() override {
    if (done_ || shard_.WorkOutstanding(source_) > 0) return;
    done_ = true;
    input_.OnSpanDone();
  }
  grid::SourceRef source() const { return source_; }
  bool done() const { return done_; }

  uint64_t last_id = 0;
  uint64_t fingerprint = 0;  // of the last one
  uint64_t events = 0;
  uint64_t bytes = 0;
  TimeMs seen_ms = kNoTime;  // event time, the highest up to its end

 private:
  void Count(int32_t delta) {
    const grid::Credit credit{.source = source_, .delta = delta};
    shard_.SendCredits({&credit, 1});
  }

  ReplayableInput& input_;
  grid::ShardLoop& shard_;
  const grid::SourceRef source_;
  bool done_ = false;
};

ReplayableInput::ReplayableInput(grid::ShardLoop& shard, Gate& gate, StreamId stream,
                                 SourceCounters& counters, std::string endpoint, Slot home,
                                 const InputState& state, Callbacks callbacks)
    : shard_(shard),
      gate_(gate),
      endpoint_(std::move(endpoint)),
      home_(home),
      callbacks_(std::move(callbacks)),
      state_(state),
      logged_(state) {
  channel_.SetSource(shard_.AddSource(this));
  channel_.stream = stream;
  channel_.name = endpoint_;
  channel_.counters = &counters;
  channel_.origin.channel = grid::SourceChannel(endpoint_, home_);
}

ReplayableInput::~ReplayableInput() {
  spans_.clear();
  shard_.RemoveSource(channel_.source);
}

void ReplayableInput::Route(uint64_t id, const Frame& frame, uint64_t fingerprint) {
  if (open_ == nullptr) {
    leaving_ = false;
    open_ = spans_.emplace_back(std::make_unique<Span>(*this, shard_)).get();
  }
  open_->last_id = id;
  open_->fingerprint = fingerprint;
  ++open_->events;
  open_->bytes += frame.text.size();
  channel_.origin.source = open_->source();
  channel_.origin.position = id;
  channel_.origin.low_water = logged_.durable + 1;
  gate_.RouteFrame(channel_, frame);
}

void ReplayableInput::EndRead() {
  if (open_ == nullptr) return;
  if (BETTONG_PLANTED(watermark_ahead_of_effects)) {
    gate_.EndRead(channel_);
  } else {
    gate_.SendRead(channel_);
  }
  open_->seen_ms = channel_.seen_ms;
  events_pending_ += open_->events;
  bytes_pending_ += open_->bytes;
  std::exchange(open_, nullptr)->Close();
}

void ReplayableInput::SetState(const InputState& state) {
  state_ = state;
  unknown_ = true;
  Write();
}

void ReplayableInput::Leave(bool at_end) {
  leaving_ = true;
  leaving_at_end_ = at_end;
  Tell();
  LeaveWhenDone();
}

void ReplayableInput::LeaveWhenDone() {
  if (!leaving_ || !spans_.empty()) return;
  // Not inside of what gives credits back; and not if it sends again by then.
  shard_.Defer([this] {
    if (!leaving_ || !spans_.empty()) return;
    leaving_ = false;
    gate_.Leave(channel_, leaving_at_end_);
  });
}

void ReplayableInput::OnSpanDone() {
  if (BETTONG_PLANTED(ack_not_contiguous)) {
    for (const auto& span : spans_) {
      if (span->done()) state_.durable = std::max(state_.durable, span->last_id);
    }
  }
  while (!spans_.empty() && spans_.front()->done()) {
    const Span& done = *spans_.front();
    state_.durable = std::max(state_.durable, done.last_id);
    state_.fingerprint = done.fingerprint;
    done_ms_ = done.seen_ms;
    events_pending_ -= done.events;
    bytes_pending_ -= done.bytes;
    spans_.pop_front();
  }
  if (!lazy_) Tell();
  LeaveWhenDone();
  if (callbacks_.done) callbacks_.done();
}

void ReplayableInput::Tell() {
  // The log knows of the event time no later than of the events' being done: nobody might send
  // anything again that tells it.
  if (gate_.Announce(channel_, std::exchange(done_ms_, kNoTime))) {
    ++telling_;
    shard_.Defer([this] {
      --telling_;
      Write();
    });
  }
  Write();
}

void ReplayableInput::Write() {
  if (writing_ || telling_ > 0 || (!unknown_ && logged_ == state_)) return;
  writing_ = true;
  unknown_ = false;
  writing_state_ = state_;
  const grid::Credit begun{.source = channel_.source, .delta = +1};
  const grid::Credit durable{.source = channel_.source, .delta = -1};
  shard_.SendCredits({&begun, 1});
  shard_.SetEndpoint(home_, endpoint_, writing_state_.Encode(), {&durable, 1});
}

void ReplayableInput::OnCredit() {
  if (!writing_ || shard_.WorkOutstanding(channel_.source) > 0) return;
  writing_ = false;
  logged_ = writing_state_;
  callbacks_.logged();
  if (!lazy_) Write();
}

}  // namespace bettong::ingest
