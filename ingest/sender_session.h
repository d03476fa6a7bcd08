// The node's end of a sender's connection: docs/stream-protocol.md, "Sending", as a state machine
// without socket, thread or clock. Bytes in, messages out to the host; what the host answers goes
// into `output` as whole frames.
//
// Owned by one thread. Life: greeting (HELLO is waited for), asked (the host has not answered it),
// open, then parting (we said ERROR: the output is to be written, our direction ended, and the
// other's read without looking until dead()) or dead at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ingest/stream_pulse.h"
#include "ingest/stream_wire.h"

namespace bettong::ingest {

// With more output than this nothing further is taken, until it is gone: what a sender can make us
// say without reading any of it is bounded by this, and by an ACK for each message allowed.
inline constexpr size_t kStreamOutputBytesMax = 256u << 10;

// What the session asks of its surroundings. Called inside of Consume; may call the session.
class SenderHost {
 public:
  // A sender of our version, with the right token and a name. Answered by Welcome or Refuse, at
  // once or later. The texts are good during the call.
  virtual void OnHello(const StreamHello& hello) = 0;
  // Ids rise and are above Welcome's `durable`. The event may be anything, even empty; it lies in
  // the bytes given to Consume.
  virtual void OnMessage(uint64_t id, std::string_view event) = 0;
  // The sender has said ERROR; the session is dead.
  virtual void OnSenderError(const StreamRefusal& refusal) = 0;
  // The session itself said ERROR, to a sender that breaks the rules.
  virtual void OnRefused(const StreamRefusal& refusal) = 0;

 protected:
  ~SenderHost() = default;
};

class SenderSession {
 public:
  // `token`: what senders must say; empty: none is asked for.
  SenderSession(SenderHost& host, std::string token, std::string& output, int64_t now_ms);
  SenderSession(const SenderSession&) = delete;
  SenderSession& operator=(const SenderSession&) = delete;

  // Takes whole frames; answers how many bytes it is done with. What is left comes again, with more
  // behind it or when something has changed (below); it is never more than one frame and what a
  // read has brought behind it. Events are decoded where they lie by a parser that reads beyond
  // their end: `in` must be followed by kFramePaddingBytes readable bytes.
  //
  // It stops before a message beyond what is allowed (Acknowledge changes that), while the output
  // is full, and inside of frames. In the end, closing, it takes everything and looks at nothing.
  size_t Consume(std::string_view in, int64_t now_ms);
  // The sender has ended its direction (FIN), and what came whole has been consumed.
  void Finish(int64_t now_ms);

  // Answers HELLO. Ignored, like all that follows, once closing.
  void Welcome(const StreamGrant& grant);
  // Says ERROR; also later on: fenced, going.
  void Refuse(StreamError code, std::string_view text, int64_t now_ms);
  // Without a word: another connection takes its place.
  void Close() { state_ = State::kDead; }
  // Says ACK if either rises; neither goes back. `durable` is an id received here, or Welcome's.
  void Acknowledge(const StreamGrant& grant);

  // Whether the caller reads the connection. While it does not, the sender cannot be heard: it is
  // shown signs of life instead of being asked for some.
  void SetReading(bool reading, int64_t now_ms) { pulse_.SetDeaf(!reading, now_ms); }
  // The kernel took bytes again after it had refused some.
  void Heard(int64_t now_ms) { pulse_.Heard(now_ms); }
  // Says PING, or gives the sender up. Several times a second.
  void Tick(int64_t now_ms);

  // Whether it is any use to read on: not while bytes in front are not taken.
  bool wants_bytes() const {
    return !finished_ && (closing() ? !dead() : !overrun_ && !output_full());
  }
  // The sender has sent more than it may.
  bool overrun() const { return overrun_; }
  bool output_full() const { return output_.size() >= kStreamOutputBytesMax; }
  // HELLO has been answered, and the session is not closing.
  bool open() const { return state_ == State::kOpen; }
  // After the sender's FIN: everything is acknowledged. The connection is to be closed behind the
  // output.
  bool complete() const { return finished_ && (parting() || (open() && durable_ >= last_id_)); }
  bool parting() const { return state_ == State::kParting; }
  // The connection is to be closed at once.
  bool dead() const { return state_ == State::kDead; }
  bool closing() const { return parting() || dead(); }

  uint64_t last_id() const { return last_id_; }    // received; Welcome's durable before the first
  uint64_t received() const { return received_; }  // messages
  uint64_t durable() const { return durable_; }
  uint64_t allowed() const { return allowed_; }

 private:
  enum class State : uint8_t { kGreeting, kAsked, kOpen, kParting, kDead };

  StreamTypes Taken() const;
  void Take(const StreamFrame& frame, int64_t now_ms);
  void TakeHello(const StreamFrame& frame, int64_t now_ms);
  void TakeMessage(const StreamFrame& frame, int64_t now_ms);
  void TakeError(const StreamFrame& frame, int64_t now_ms);
  void Malformed(StreamDefect defect, const StreamFrame& frame, int64_t now_ms);
  void RefuseAndTell(StreamError code, const std::string& text, int64_t now_ms);

  SenderHost& host_;
  const std::string token_;
  std::string& output_;
  StreamPulse pulse_;
  State state_ = State::kGreeting;
  bool overrun_ = false;
  bool finished_ = false;
  size_t left_bytes_ = 0;  // of `in`, by the last Consume
  uint64_t pings_ = 0;
  uint64_t last_id_ = 0;
  uint64_t received_ = 0;
  uint64_t durable_ = 0;
  uint64_t allowed_ = 0;
};

}  // namespace bettong::ingest
