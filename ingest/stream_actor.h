// What the node knows of one bettong-stream source, on the source's home shard: which process sends
// (the incarnation), over which connection, and, in its ReplayableInput, up to which id everything
// is done and durable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/gate.h"
#include "ingest/input_channel.h"
#include "ingest/replayable_input.h"
#include "ingest/source_actor.h"

namespace bettong::ingest {

class StreamActor final : public SourceActor {
 public:
  // `endpoint` names the state in the log, at home in the slot of the source's name.
  StreamActor(grid::ShardLoop& shard, Gate& gate, StreamId stream, SourceCounters& counters,
              std::string endpoint, Slot home, const InputState& state);

  void Connect(SourceLink& link, const StreamHello& hello) override;
  void Route(SourceLink& link, uint64_t id, std::string_view event) override;
  void EndRead(SourceLink& link) override;
  void Disconnect(SourceLink& link) override;

  // A sender is connected, and has been welcomed.
  bool connected() const { return link_ != nullptr; }
  // Nothing is on its way, and the log has everything.
  bool idle() const { return input_.idle(); }

 private:
  void OnLogged();
  void WelcomeIfReady();

  ReplayableInput input_;
  uint64_t acknowledged_;
  SourceLink* link_ = nullptr;     // that sends
  SourceLink* waiting_ = nullptr;  // for its Welcome
};

}  // namespace bettong::ingest
