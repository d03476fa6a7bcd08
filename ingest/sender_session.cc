#include "ingest/sender_session.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/simulation.h"

namespace bettong::ingest {

SenderSession::SenderSession(SenderHost& host, std::string token, std::string& output,
                             int64_t now_ms)
    : host_(host), token_(std::move(token)), output_(output), pulse_(now_ms) {}

size_t SenderSession::Consume(std::string_view in, int64_t now_ms) {
  if (in.size() > left_bytes_) pulse_.Heard(now_ms);
  size_t done = 0;
  while (!closing() && !output_full()) {
    const StreamFrame frame = ScanStreamFrame(in.substr(done), Taken());
    if (frame.kind == StreamFrame::Kind::kMalformed) {
      Malformed(frame.defect, frame, now_ms);
      break;
    }
    overrun_ = frame.Is(StreamFrameType::kMessage) && received_ >= allowed_;
    if (overrun_ || frame.kind == StreamFrame::Kind::kMore) break;
    done += frame.bytes;
    Take(frame, now_ms);
  }
  if (closing()) done = in.size();
  left_bytes_ = in.size() - done;
  return done;
}

StreamTypes SenderSession::Taken() const {
  using Type = StreamFrameType;
  static constexpr StreamTypes kGreeting{Type::kHello};
  static constexpr StreamTypes kAsked{Type::kPing, Type::kPong, Type::kError};
  static constexpr StreamTypes kOpen{Type::kMessage, Type::kPing, Type::kPong, Type::kError};
  if (state_ == State::kOpen) return kOpen;
  return state_ == State::kAsked ? kAsked : kGreeting;
}

void SenderSession::Take(const StreamFrame& frame, int64_t now_ms) {
  switch (static_cast<StreamFrameType>(frame.type)) {
    case StreamFrameType::kMessage:
      return TakeMessage(frame, now_ms);
    case StreamFrameType::kHello:
      return TakeHello(frame, now_ms);
    case StreamFrameType::kPing:
      return AppendPong(output_, DecodePing(frame.payload));
    case StreamFrameType::kError:
      return TakeError(frame, now_ms);
    default:  // PONG: that it came is all that it says
      return;
  }
}

void SenderSession::TakeHello(const StreamFrame& frame, int64_t now_ms) {
  StreamHello hello;
  const StreamDefect defect = Decode(frame.payload, hello);
  if (defect != StreamDefect::kNone) return Malformed(defect, frame, now_ms);
  if (hello.version != kStreamVersion) {
    return RefuseAndTell(
        StreamError::kVersion,
        absl::StrCat("the node speaks version ", kStreamVersion, ", the sender ", hello.version),
        now_ms);
  }
  if (!TokensEqual(hello.token, token_)) {
    return RefuseAndTell(StreamError::kDenied, "wrong token", now_ms);
  }
  if (hello.source.empty())
    return RefuseAndTell(StreamError::kDenied, "a source has a name", now_ms);
  state_ = State::kAsked;
  pulse_.Live(now_ms);
  host_.OnHello(hello);
}

void SenderSession::TakeMessage(const StreamFrame& frame, int64_t now_ms) {
  StreamMessage message;
  const StreamDefect defect = Decode(frame.payload, message);
  if (defect != StreamDefect::kNone) return Malformed(defect, frame, now_ms);
  if (message.id <= last_id_) {
    return RefuseAndTell(StreamError::kOrder, absl::StrCat("id ", message.id, " behind ", last_id_),
                         now_ms);
  }
  last_id_ = message.id;
  ++received_;
  host_.OnMessage(message.id, message.event);
}

void SenderSession::TakeError(const StreamFrame& frame, int64_t now_ms) {
  StreamRefusal refusal;
  const StreamDefect defect = Decode(frame.payload, refusal);
  if (defect != StreamDefect::kNone) return Malformed(defect, frame, now_ms);
  state_ = State::kDead;
  host_.OnSenderError(refusal);
}

void SenderSession::Malformed(StreamDefect defect, const StreamFrame& frame, int64_t now_ms) {
  RefuseAndTell(StreamError::kMalformed, DescribeStreamDefect(defect, frame), now_ms);
}

void SenderSession::RefuseAndTell(StreamError code, const std::string& text, int64_t now_ms) {
  Refuse(code, text, now_ms);
  host_.OnRefused({.code = code, .text = text});
}

void SenderSession::Finish(int64_t now_ms) {
  finished_ = true;
  SetReading(false, now_ms);
  // One that has not been welcomed has nothing to wait for.
  if (!open() && !parting()) state_ = State::kDead;
}

void SenderSession::Welcome(const StreamGrant& grant) {
  if (closing()) return;
  BETTONG_CHECK(state_ == State::kAsked);
  state_ = State::kOpen;
  durable_ = last_id_ = grant.durable;
  allowed_ = grant.allowed;
  AppendWelcome(output_, {.grant = grant});
}

void SenderSession::Refuse(StreamError code, std::string_view text, int64_t now_ms) {
  if (closing()) return;
  state_ = State::kParting;
  AppendError(output_, {.code = code, .text = text});
  pulse_.Part(now_ms);
}

void SenderSession::Acknowledge(const StreamGrant& grant) {
  if (!open()) return;
  BETTONG_CHECK(grant.durable <= last_id_);
  if (grant.durable <= durable_ && grant.allowed <= allowed_) return;
  durable_ = BETTONG_PLANTED(ack_of_all_that_came) ? last_id_ : std::max(durable_, grant.durable);
  allowed_ = std::max(allowed_, grant.allowed);
  AppendAcknowledge(output_, {.durable = durable_, .allowed = allowed_});
}

void SenderSession::Tick(int64_t now_ms) {
  if (dead()) return;
  switch (pulse_.Tick(now_ms)) {
    case StreamPulse::Beat::kAsk:
      // Behind so much output a PING would be no news, and no sign of life for long.
      if (!output_full()) AppendPing(output_, ++pings_);
      break;
    case StreamPulse::Beat::kGone:
      state_ = State::kDead;
      break;
    case StreamPulse::Beat::kNone:
      break;
  }
}

}  // namespace bettong::ingest
