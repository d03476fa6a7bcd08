#include "ingest/stream_actor.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "base/simulation.h"

namespace bettong::ingest {

StreamActor::StreamActor(grid::ShardLoop& shard, Gate& gate, StreamId stream,
                         SourceCounters& counters, std::string endpoint, Slot home,
                         const InputState& state)
    : input_(shard, gate, stream, counters, std::move(endpoint), home, state,
             {.logged = [this] { OnLogged(); }, .done = {}}),
      acknowledged_(state.durable) {}

void StreamActor::Connect(SourceLink& link, const StreamHello& hello) {
  const uint64_t incarnation = input_.state().incarnation;
  if (hello.incarnation < incarnation) {
    link.Refuse(StreamError::kFenced,
                absl::StrCat("a newer process sends as this source (incarnation ", incarnation,
                             ", not ", hello.incarnation, ")"));
    return;
  }
  // Whoever was here before goes: without a word if it is the same process.
  const bool same = hello.incarnation == incarnation;
  bool replaces = false;
  if (link_ != nullptr) input_.EndRead();
  for (SourceLink* older : {std::exchange(link_, nullptr), std::exchange(waiting_, nullptr)}) {
    if (older == nullptr) continue;
    replaces = true;
    if (same) {
      older->Close();
    } else {
      older->Refuse(StreamError::kFenced, "a newer process sends as this source now");
    }
  }
  waiting_ = &link;
  if (replaces) input_.Leave(/*at_end=*/true);
  InputState state = input_.state();
  state.incarnation = hello.incarnation;
  if (!same) input_.SetState(state);
  WelcomeIfReady();
}

// The older connection's events are durable, and the log has this incarnation: from here on an
// older one is fenced whatever crashes.
void StreamActor::WelcomeIfReady() {
  if (waiting_ == nullptr) return;
  if (!idle() && !BETTONG_PLANTED(welcome_before_all_is_durable)) return;
  link_ = std::exchange(waiting_, nullptr);
  link_->Welcome(input_.logged().durable);
}

void StreamActor::Route(SourceLink& link, uint64_t id, std::string_view event) {
  if (&link == link_) input_.Route(id, {.kind = Frame::Kind::kFrame, .text = event});
}

void StreamActor::EndRead(SourceLink& link) {
  if (&link == link_) input_.EndRead();
}

void StreamActor::Disconnect(SourceLink& link) {
  if (&link == waiting_) waiting_ = nullptr;
  if (&link != link_) return;
  input_.EndRead();
  link_ = nullptr;
  input_.Leave(/*at_end=*/true);
}

void StreamActor::OnLogged() {
  const uint64_t durable = input_.logged().durable;
  const bool risen = durable > std::exchange(acknowledged_, durable);
  if (risen && link_ != nullptr) link_->Acknowledge(durable);
  WelcomeIfReady();
}

}  // namespace bettong::ingest
