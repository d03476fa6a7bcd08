// The node's end of a receiver's connection: docs/stream-protocol.md, "Receiving", as a state
// machine without socket, thread or clock. It says OFFER, waits for RESUME, and then sends the
// outputs it is given; what the receiver has stored goes to the host. It keeps no outputs: after
// OnResume the owner gives what is above it once more, from a queue of its own.
//
// Owned by one thread. Life: greeting (RESUME is waited for), resumed, then parting (we said ERROR:
// the output is to be written, our direction ended, and the other's read without looking until
// dead()) or dead at once.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/stream_pulse.h"
#include "ingest/stream_wire.h"

namespace bettong::ingest {

// No more outputs are to be given beside so much of them that the kernel does not have yet.
inline constexpr size_t kStreamSendBytesMax = 1u << 20;
// With more output than this nothing further is taken: a receiver that asks and asks (PING) without
// reading is bounded, and one that reads slowly can still say STORED beside a large output.
inline constexpr size_t kStreamSendOutputBytesMax =
    kStreamSendBytesMax + kStreamLengthBytes + kStreamFrameBytesMax + (256u << 10);

// What the session asks of its surroundings. Called inside of Consume; may call the session.
class ReceiverHost {
 public:
  // What the receiver has of each partition, each once; a partition that is not there: nothing. A
  // host that has not given out one of these sequences yet calls Refuse.
  virtual void OnResume(std::span<const StreamPosition> positions) = 0;
  // Everything of the partition up to this sequence is stored; it rises, and was sent here.
  virtual void OnStored(const StreamPosition& position) = 0;
  // The receiver has said ERROR; the session is dead. Only `kGoing` is worth another attempt.
  virtual void OnReceiverError(const StreamRefusal& refusal) = 0;
  // The session itself said ERROR, to a receiver that breaks the rules. Another attempt is no use.
  virtual void OnRefused(const StreamRefusal& refusal) = 0;

 protected:
  ~ReceiverHost() = default;
};

class ReceiverSession {
 public:
  // Says OFFER.
  ReceiverSession(ReceiverHost& host, const StreamOffer& offer, std::string& output,
                  int64_t now_ms);
  ReceiverSession(const ReceiverSession&) = delete;
  ReceiverSession& operator=(const ReceiverSession&) = delete;

  // Takes whole frames; answers how many bytes it is done with. What is left comes again, with more
  // behind it. Closing, it takes everything and looks at nothing.
  size_t Consume(std::string_view in, int64_t now_ms);

  // While takes_outputs(): sends an output, unless the receiver has stored it (false). Sequences of
  // a partition rise. StreamOutputFits.
  bool Send(const StreamOutput& output);
  bool takes_outputs() const {
    return state_ == State::kResumed && output_.size() < kStreamSendBytesMax;
  }

  // Says ERROR. Ignored once closing.
  void Refuse(StreamError code, std::string_view text, int64_t now_ms);
  // The kernel took bytes again after it had refused some.
  void Heard(int64_t now_ms) { pulse_.Heard(now_ms); }
  // Says PING, or gives the receiver up. Several times a second.
  void Tick(int64_t now_ms);

  bool output_full() const { return output_.size() >= kStreamSendOutputBytesMax; }
  bool wants_bytes() const { return closing() ? !dead() : !output_full(); }
  bool resumed() const { return state_ == State::kResumed; }
  bool parting() const { return state_ == State::kParting; }
  // The connection is to be closed at once.
  bool dead() const { return state_ == State::kDead; }
  bool closing() const { return parting() || dead(); }

 private:
  enum class State : uint8_t { kGreeting, kResumed, kParting, kDead };

  // Of a partition, on this connection.
  struct Progress {
    uint64_t sent = 0;  // or stored, by RESUME
    uint64_t stored = 0;
  };

  StreamTypes Taken() const;
  void Take(const StreamFrame& frame, int64_t now_ms);
  void TakeResume(const StreamFrame& frame, int64_t now_ms);
  void TakeStored(const StreamFrame& frame, int64_t now_ms);
  void TakeError(const StreamFrame& frame, int64_t now_ms);
  void Malformed(StreamDefect defect, const StreamFrame& frame, int64_t now_ms);
  void RefuseAndTell(StreamError code, const std::string& text, int64_t now_ms);

  ReceiverHost& host_;
  std::string& output_;
  StreamPulse pulse_;
  State state_ = State::kGreeting;
  size_t left_bytes_ = 0;  // of `in`, by the last Consume
  uint64_t pings_ = 0;
  absl::flat_hash_map<PartitionId, Progress> progress_;
  std::vector<StreamPosition> positions_;  // of the STORED at hand
};

}  // namespace bettong::ingest
