// What a bettong-stream sink has been given and its receiver has not stored yet, and what of it
// goes next: a state machine without socket, thread or clock. After each new connection, what the
// receiver has not is sent again.
//
// Owned by the sink, on its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/config.h"
#include "ingest/sink_chunk.h"
#include "ingest/stream_wire.h"

namespace bettong::ingest {

struct StreamSinkOptions {
  std::string node_id;                    // kStreamNodeIdBytes
  bool framed = true;                     // an output must fit into a frame
  std::vector<std::string> stream_names;  // by StreamId
  // By partition: the last output that may have been given out before, in an earlier process.
  std::vector<uint64_t> given_before;
};

// The connection to the receiver, as the queue sees it.
class OutputTaker {
 public:
  virtual bool takes_outputs() const = 0;
  // While takes_outputs(); see ReceiverSession::Send.
  virtual bool Send(const StreamOutput& output) = 0;
  // Says ERROR.
  virtual void Refuse(StreamError code, std::string_view text) = 0;

 protected:
  ~OutputTaker() = default;
};

class StreamSinkQueue {
 public:
  // `stored`: the receiver has all of the chunk, which is the caller's again. `name`: for the log.
  StreamSinkQueue(std::string name, StreamSinkOptions options,
                  std::function<void(SinkChunk*)> stored, LogLine log);
  // What is left is given up.
  ~StreamSinkQueue();
  StreamSinkQueue(const StreamSinkQueue&) = delete;
  StreamSinkQueue& operator=(const StreamSinkQueue&) = delete;

  void Take(SinkChunk* chunk);
  bool empty() const { return queue_.empty(); }

  // Each of these answers how many chunks were found stored, and are gone.
  //
  // A new connection, and what the receiver has. One that was never given out: it is refused.
  size_t OnResume(std::span<const StreamPosition> positions, OutputTaker& link);
  size_t OnStored(const StreamPosition& position);
  // Sends what has not been sent on this connection, as far as it is taken. What came only now, and
  // the receiver has had since before a crash, is done without.
  size_t Fill(OutputTaker& link);

 private:
  uint64_t& At(std::vector<uint64_t>& by_partition, PartitionId partition);
  bool Stored(const SinkChunk& chunk);
  size_t DropStored();
  void Send(OutputTaker& link);

  const std::string name_;
  const StreamSinkOptions options_;
  const std::function<void(SinkChunk*)> stored_chunk_;
  const LogLine log_;
  std::deque<SinkChunk*> queue_;
  size_t next_chunk_ = 0, next_item_ = 0;  // to be sent
  std::vector<uint64_t> given_;            // by partition: the last output that came here
  std::vector<uint64_t> stored_;           // by partition: as the receiver says
};

}  // namespace bettong::ingest
