#include "ingest/receiver_session.h"

#include <absl/strings/str_cat.h>

#include "base/check.h"

namespace bettong::ingest {

ReceiverSession::ReceiverSession(ReceiverHost& host, const StreamOffer& offer, std::string& output,
                                 int64_t now_ms)
    : host_(host), output_(output), pulse_(now_ms) {
  AppendOffer(output_, offer);
}

size_t ReceiverSession::Consume(std::string_view in, int64_t now_ms) {
  if (in.size() > left_bytes_) pulse_.Heard(now_ms);
  size_t done = 0;
  while (!closing() && !output_full()) {
    const StreamFrame frame = ScanStreamFrame(in.substr(done), Taken());
    if (frame.kind == StreamFrame::Kind::kMore) break;
    if (frame.kind == StreamFrame::Kind::kMalformed) {
      Malformed(frame.defect, frame, now_ms);
      break;
    }
    done += frame.bytes;
    Take(frame, now_ms);
  }
  if (closing()) done = in.size();
  left_bytes_ = in.size() - done;
  return done;
}

bool ReceiverSession::Send(const StreamOutput& output) {
  BETTONG_CHECK(resumed());
  Progress& progress = progress_[output.position.partition];
  if (output.position.sequence <= progress.stored) return false;
  BETTONG_CHECK(output.position.sequence > progress.sent);
  progress.sent = output.position.sequence;
  AppendOutput(output_, output);
  return true;
}

StreamTypes ReceiverSession::Taken() const {
  using Type = StreamFrameType;
  const Type own = state_ == State::kGreeting ? Type::kResume : Type::kStored;
  return {own, Type::kPing, Type::kPong, Type::kError};
}

void ReceiverSession::Take(const StreamFrame& frame, int64_t now_ms) {
  switch (static_cast<StreamFrameType>(frame.type)) {
    case StreamFrameType::kStored:
      return TakeStored(frame, now_ms);
    case StreamFrameType::kResume:
      return TakeResume(frame, now_ms);
    case StreamFrameType::kPing:
      return AppendPong(output_, DecodePing(frame.payload));
    case StreamFrameType::kError:
      return TakeError(frame, now_ms);
    default:  // PONG: that it came is all that it says
      return;
  }
}

void ReceiverSession::TakeResume(const StreamFrame& frame, int64_t now_ms) {
  StreamResume resume;
  const StreamDefect defect = Decode(frame.payload, resume);
  if (defect != StreamDefect::kNone) return Malformed(defect, frame, now_ms);
  if (resume.version != kStreamVersion) {
    return RefuseAndTell(
        StreamError::kVersion,
        absl::StrCat("the receiver speaks version ", resume.version, ", the node ", kStreamVersion),
        now_ms);
  }
  for (const StreamPosition& position : resume.positions) {
    progress_[position.partition] = {position.sequence, position.sequence};
  }
  state_ = State::kResumed;
  pulse_.Live(now_ms);
  host_.OnResume(resume.positions);
}

void ReceiverSession::TakeStored(const StreamFrame& frame, int64_t now_ms) {
  const StreamDefect defect = Decode(frame.payload, positions_);
  if (defect != StreamDefect::kNone) return Malformed(defect, frame, now_ms);
  for (const StreamPosition& position : positions_) {
    const auto found = progress_.find(position.partition);
    const Progress known = found == progress_.end() ? Progress{} : found->second;
    if (position.sequence > known.sent) {
      return RefuseAndTell(
          StreamError::kMalformed,
          absl::StrCat("STORED says ", position.sequence, " of partition ",
                       position.partition.value(), ", where ", known.sent, " is the last"),
          now_ms);
    }
    if (position.sequence <= known.stored) continue;
    found->second.stored = position.sequence;
    host_.OnStored(position);
    if (closing()) return;
  }
}

void ReceiverSession::TakeError(const StreamFrame& frame, int64_t now_ms) {
  StreamRefusal refusal;
  const StreamDefect defect = Decode(frame.payload, refusal);
  if (defect != StreamDefect::kNone) return Malformed(defect, frame, now_ms);
  state_ = State::kDead;
  host_.OnReceiverError(refusal);
}

void ReceiverSession::Malformed(StreamDefect defect, const StreamFrame& frame, int64_t now_ms) {
  RefuseAndTell(StreamError::kMalformed, DescribeStreamDefect(defect, frame), now_ms);
}

void ReceiverSession::RefuseAndTell(StreamError code, const std::string& text, int64_t now_ms) {
  Refuse(code, text, now_ms);
  host_.OnRefused({.code = code, .text = text});
}

void ReceiverSession::Refuse(StreamError code, std::string_view text, int64_t now_ms) {
  if (closing()) return;
  state_ = State::kParting;
  AppendError(output_, {.code = code, .text = text});
  pulse_.Part(now_ms);
}

void ReceiverSession::Tick(int64_t now_ms) {
  if (dead()) return;
  switch (pulse_.Tick(now_ms)) {
    case StreamPulse::Beat::kAsk:
      AppendPing(output_, ++pings_);
      break;
    case StreamPulse::Beat::kGone:
      state_ = State::kDead;
      break;
    case StreamPulse::Beat::kNone:
      break;
  }
}

}  // namespace bettong::ingest
