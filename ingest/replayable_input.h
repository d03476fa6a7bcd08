// An input whose events are sent again after a crash, on its home shard: a sender of a
// bettong-stream, a partition of a topic. It knows what is on its way, and up to which id
// everything is done and durable. See docs/exactly-once.md, "A source's actor".
//
// What one read brought is a span. A span is done when its turns are durable; the low water is the
// last id of the last span up to which all are done. It is logged, and the owner told when the log
// has it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/frame_reader.h"
#include "ingest/gate.h"
#include "ingest/input_channel.h"
#include "ingest/input_state.h"

namespace bettong::ingest {

class ReplayableInput final : private grid::SourceControl {
 public:
  // Not called inside of the owner's calls; may call this, and destroy nothing.
  struct Callbacks {
    std::function<void()> logged;  // the log knows the state as it is in logged()
    std::function<void()> done;    // less is on its way; null: nobody asks
  };
  // `endpoint` names the state in the log, at home in the slot `home`; its events' channel has the
  // same name.
  ReplayableInput(grid::ShardLoop& shard, Gate& gate, StreamId stream, SourceCounters& counters,
                  std::string endpoint, Slot home, const InputState& state, Callbacks callbacks);
  ~ReplayableInput();

  // One event. Ids rise, and are above state().durable.
  void Route(uint64_t id, const Frame& frame, uint64_t fingerprint = 0);
  // All events of one read have been routed: a span.
  void EndRead();
  // It sends nothing any more, for now: its stream's watermark waits for it no longer once all that
  // it sent is done. `at_end`: see Gate::Leave.
  void Leave(bool at_end);
  // Lazy: what is done is told to the shards and to the log when Tell is called, not at once.
  void SetLazy(bool lazy) {
    lazy_ = lazy;
    if (!lazy) Tell();
  }
  void Tell();
  // Whether there is anything to tell.
  bool has_news() const { return done_ms_ != kNoTime || (!writing_ && logged_ != state_); }
  // Has the log know the state, whatever it is.
  void SetState(const InputState& state);
  // From here on ids are another channel's, of that name. Only while nothing is on its way.
  void SetChannel(std::string_view name) {
    channel_.origin.channel = grid::SourceChannel(name, home_);
  }

  const InputState& state() const { return state_; }    // as it is
  const InputState& logged() const { return logged_; }  // as the log has it, durably
  // Nothing is on its way, and the log has everything.
  bool idle() const { return spans_.empty() && !writing_ && !unknown_ && logged_ == state_; }
  // Of what is on its way.
  uint64_t events_pending() const { return events_pending_; }
  uint64_t bytes_pending() const { return bytes_pending_; }
  InputChannel& channel() { return channel_; }

 private:
  class Span;

  void OnCredit() override;  // of what was written to the log
  void OnSpanDone();
  // Has the log know the state as it is now, one write at a time.
  void Write();
  void LeaveWhenDone();

  grid::ShardLoop& shard_;
  Gate& gate_;
  const std::string endpoint_;
  const Slot home_;
  const Callbacks callbacks_;
  InputChannel channel_;

  InputState state_;
  InputState writing_state_;  // while writing_
  InputState logged_;
  bool writing_ = false;
  bool unknown_ = false;  // the log has nothing yet that it must have

  std::deque<std::unique_ptr<Span>> spans_;
  Span* open_ = nullptr;  // the last one, while a read is being routed
  uint64_t events_pending_ = 0;
  uint64_t bytes_pending_ = 0;
  bool lazy_ = false;
  TimeMs done_ms_ = kNoTime;  // event time up to which all is done, to be told
  bool leaving_ = false;
  bool leaving_at_end_ = false;
  int telling_ = 0;  // event times that the shards are being told
};

}  // namespace bettong::ingest
