// Any bytes: the decoders stay inside of them; what they accept, encoded again, is the same bytes;
// and both sessions come to the same answers in whatever pieces the bytes arrive. First byte: size
// of the pieces.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "ingest/frame_reader.h"
#include "ingest/receiver_session.h"
#include "ingest/sender_session.h"
#include "ingest/stream_wire.h"

namespace {

using namespace bettong::ingest;

constexpr StreamTypes kAll{
    StreamFrameType::kHello,       StreamFrameType::kMessage, StreamFrameType::kPing,
    StreamFrameType::kOffer,       StreamFrameType::kOutput,  StreamFrameType::kWelcome,
    StreamFrameType::kAcknowledge, StreamFrameType::kError,   StreamFrameType::kPong,
    StreamFrameType::kResume,      StreamFrameType::kStored};

// Appends the frame as it is decoded; false: it is none.
bool Recode(const StreamFrame& frame, std::string& out) {
  const auto recode = [&](auto&& fields, const auto& append) {
    if (Decode(frame.payload, fields) != StreamDefect::kNone) return false;
    append(out, fields);
    return true;
  };
  switch (static_cast<StreamFrameType>(frame.type)) {
    case StreamFrameType::kHello:
      return recode(StreamHello{}, AppendHello);
    case StreamFrameType::kMessage:
      return recode(StreamMessage{}, AppendMessage);
    case StreamFrameType::kPing:
      AppendPing(out, DecodePing(frame.payload));
      return true;
    case StreamFrameType::kPong:
      AppendPong(out, DecodePing(frame.payload));
      return true;
    case StreamFrameType::kOffer:
      return recode(StreamOffer{}, AppendOffer);
    case StreamFrameType::kOutput:
      return recode(StreamOutput{}, AppendOutput);
    case StreamFrameType::kWelcome:
      return recode(StreamWelcome{}, AppendWelcome);
    case StreamFrameType::kAcknowledge:
      return recode(StreamGrant{}, AppendAcknowledge);
    case StreamFrameType::kError:
      return recode(StreamRefusal{}, AppendError);
    case StreamFrameType::kResume:
      return recode(StreamResume{}, AppendResume);
    case StreamFrameType::kStored:
      return recode(std::vector<StreamPosition>{}, AppendStored);
  }
  return false;
}

// Whether what is decoded may differ from the bytes it came from: of another version only that is
// read, and unknown codes are the same to us.
bool MayDiffer(const StreamFrame& frame) {
  StreamHello hello;
  StreamOffer offer;
  StreamResume resume;
  switch (static_cast<StreamFrameType>(frame.type)) {
    case StreamFrameType::kHello:
      return Decode(frame.payload, hello) == StreamDefect::kNone && hello.version != kStreamVersion;
    case StreamFrameType::kOffer:
      return Decode(frame.payload, offer) == StreamDefect::kNone && offer.version != kStreamVersion;
    case StreamFrameType::kResume:
      return Decode(frame.payload, resume) == StreamDefect::kNone &&
             resume.version != kStreamVersion;
    default:
      return frame.Is(StreamFrameType::kError);
  }
}

void CheckCodec(std::string_view bytes) {
  while (true) {
    const StreamFrame frame = ScanStreamFrame(bytes, kAll);
    if (frame.kind != StreamFrame::Kind::kFrame) return;
    std::string again;
    if (!MayDiffer(frame) && Recode(frame, again)) {
      BETTONG_CHECK(again == bytes.substr(0, frame.bytes));
    }
    bytes.remove_prefix(frame.bytes);
  }
}

struct Host final : SenderHost, ReceiverHost {
  std::string seen;  // all calls
  SenderSession* session = nullptr;

  void OnHello(const StreamHello& hello) override {
    seen.append("hello ").append(hello.source).append("\n");
    session->Welcome({.durable = 0, .allowed = 3});
  }
  void OnMessage(uint64_t id, std::string_view event) override {
    seen.append(std::to_string(id)).append(" ").append(event).append("\n");
    // The decoder may read behind the event: AddressSanitizer watches.
    std::string copy(event.data(), event.size() + kFramePaddingBytes);
  }
  void OnSenderError(const StreamRefusal& refusal) override { Note(refusal); }
  void OnResume(std::span<const StreamPosition> positions) override {
    seen.append("resume ").append(std::to_string(positions.size())).append("\n");
  }
  void OnStored(const StreamPosition& position) override {
    seen.append("stored ").append(std::to_string(position.sequence)).append("\n");
  }
  void OnReceiverError(const StreamRefusal& refusal) override { Note(refusal); }
  void OnRefused(const StreamRefusal& refusal) override { Note(refusal); }

 private:
  void Note(const StreamRefusal& refusal) {
    seen.append(StreamErrorName(refusal.code)).append(" ").append(refusal.text).append("\n");
  }
};

// Feeds bytes in pieces, each time from a buffer of exactly the right size.
template <typename Session>
void Feed(Session& session, std::string_view bytes, size_t piece_bytes) {
  size_t done = 0;
  for (size_t end = 0; end < bytes.size();) {
    end = std::min(bytes.size(), end + piece_bytes);
    const size_t size = end - done;
    const auto buffer = std::make_unique<char[]>(size + kFramePaddingBytes);
    std::memcpy(buffer.get(), bytes.data() + done, size);
    done += session.Consume({buffer.get(), size}, 0);
    BETTONG_CHECK(done <= end);
  }
}

std::string RunSender(std::string_view bytes, size_t piece_bytes) {
  Host host;
  std::string output;
  SenderSession session(host, "", output, 0);
  host.session = &session;
  Feed(session, bytes, piece_bytes);
  BETTONG_CHECK(session.received() <= session.allowed());
  return host.seen + output;
}

std::string RunReceiver(std::string_view bytes, size_t piece_bytes) {
  Host host;
  std::string output;
  const std::string node_id(kStreamNodeIdBytes, 'n');
  ReceiverSession session(host, {.node_id = node_id, .sink = "alerts"}, output, 0);
  Feed(session, bytes, piece_bytes);
  return host.seen + output;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t piece_bytes = 1 + data[0] % 50;
  CheckCodec(bytes);
  BETTONG_CHECK(RunSender(bytes, SIZE_MAX / 2) == RunSender(bytes, piece_bytes));
  BETTONG_CHECK(RunReceiver(bytes, SIZE_MAX / 2) == RunReceiver(bytes, piece_bytes));
  return 0;
}
