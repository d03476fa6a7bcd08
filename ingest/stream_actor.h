// What the node knows of one bettong-stream source, on the source's home shard: which process sends
// (the incarnation), up to which id everything is done and durable, and what is on its way. See
// docs/exactly-once.md, "A source's actor".
//
// What one read brought is a span. A span is done when its turns are durable; the low water is the
// last id of the last span up to which all are done. It is logged, and acknowledged when the log
// has it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/gate.h"
#include "ingest/input_channel.h"
#include "ingest/source_actor.h"

namespace bettong::ingest {

class StreamActor final : public SourceActor, private grid::SourceControl {
 public:
  // What the log keeps.
  struct State {
    uint64_t incarnation = 0;
    uint64_t durable = 0;

    std::string Encode() const;
    static std::optional<State> Decode(std::string_view bytes);
    bool operator==(const State&) const = default;
  };

  // `endpoint` names the state in the log, at home in the slot of the source's name.
  StreamActor(grid::ShardLoop& shard, Gate& gate, StreamId stream, SourceCounters& counters,
              std::string endpoint, Slot home, const State& state);
  ~StreamActor();

  void Connect(SourceLink& link, const StreamHello& hello) override;
  void Route(SourceLink& link, uint64_t id, std::string_view event) override;
  void EndRead(SourceLink& link) override;
  void Disconnect(SourceLink& link) override;

  // A sender is connected, and has been welcomed.
  bool connected() const { return link_ != nullptr; }
  // Nothing is on its way, and the log has everything.
  bool idle() const { return spans_.empty() && !writing_ && logged_ == state_; }

 private:
  class Span;

  void OnCredit() override;  // of what was written to the log
  void OnSpanDone();
  // Has the log know the state as it is now, one write at a time.
  void Write();
  void WelcomeIfReady();
  // The stream's watermark waits for the source no longer once all that it sent is done.
  void LeaveWhenDone();

  grid::ShardLoop& shard_;
  Gate& gate_;
  const std::string endpoint_;
  const Slot home_;
  InputChannel channel_;

  State state_;          // as it is
  State writing_state_;  // while writing_
  State logged_;         // as the log has it, durably
  bool writing_ = false;

  SourceLink* link_ = nullptr;     // that sends
  SourceLink* waiting_ = nullptr;  // for its Welcome
  std::deque<std::unique_ptr<Span>> spans_;
  Span* open_ = nullptr;  // the last one, while a read is being routed
  bool leaving_ = false;
  int telling_ = 0;  // event times that the shards are being told
};

}  // namespace bettong::ingest
