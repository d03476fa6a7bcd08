#include "ingest/stream_wire.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/utf8.h"

namespace bettong::ingest {
namespace {

constexpr size_t kTextLengthBytes = 2;
constexpr size_t kTextFieldBytesMax = kTextLengthBytes + kStreamTextBytesMax;
constexpr size_t kPositionBytes = 2 + 8;
constexpr size_t kOutputOverheadBytes = 1 + kPositionBytes + kTextLengthBytes;

// The least and the greatest length that a frame may say; {1, 0}: there is no such type.
struct LengthRange {
  size_t least = 1;
  size_t most = 0;
};

constexpr LengthRange LengthsOf(uint8_t type) {
  switch (static_cast<StreamFrameType>(type)) {
    case StreamFrameType::kHello:
      return {1 + 4 + 2 + 8 + 2 * kTextLengthBytes, 1 + 4 + 2 + 8 + 2 * kTextFieldBytesMax};
    case StreamFrameType::kMessage:
      return {kStreamMessageOverheadBytes, kStreamFrameBytesMax};
    case StreamFrameType::kPing:
    case StreamFrameType::kPong:
      return {1 + 8, 1 + 8};
    case StreamFrameType::kOffer:
      return {1 + 4 + 2 + kStreamNodeIdBytes + 2 * kTextLengthBytes,
              1 + 4 + 2 + kStreamNodeIdBytes + 2 * kTextFieldBytesMax};
    case StreamFrameType::kOutput:
      return {kOutputOverheadBytes, kStreamFrameBytesMax};
    case StreamFrameType::kWelcome:
      return {1 + 2 + 8 + 8, 1 + 2 + 8 + 8};
    case StreamFrameType::kAcknowledge:
      return {1 + 8 + 8, 1 + 8 + 8};
    case StreamFrameType::kError:
      return {1 + 2 + kTextLengthBytes, 1 + 2 + kTextFieldBytesMax};
    case StreamFrameType::kResume:
      return {1 + 2 + 2, 1 + 2 + 2 + kStreamPositionsMax * kPositionBytes};
    case StreamFrameType::kStored:
      return {1 + 2, 1 + 2 + kStreamPositionsMax * kPositionBytes};
  }
  return {};
}

// --- encoding

void Begin(std::string& out, StreamFrameType type, size_t payload_bytes) {
  BETTONG_CHECK(1 + payload_bytes <= kStreamFrameBytesMax);
  ByteWriter writer(out);
  writer.Fixed(static_cast<uint32_t>(1 + payload_bytes));
  writer.Fixed(type);
}

size_t TextBytes(std::string_view text) {
  BETTONG_CHECK(text.size() <= kStreamTextBytesMax);
  return kTextLengthBytes + text.size();
}

void PutText(ByteWriter& writer, std::string_view text) {
  writer.Fixed(static_cast<uint16_t>(text.size()));
  writer.Raw(text);
}

size_t PositionsBytes(std::span<const StreamPosition> positions) {
  BETTONG_CHECK(positions.size() <= kStreamPositionsMax);
  return 2 + positions.size() * kPositionBytes;
}

void PutPositions(ByteWriter& writer, std::span<const StreamPosition> positions) {
  writer.Fixed(static_cast<uint16_t>(positions.size()));
  for (const StreamPosition& position : positions) {
    writer.Fixed(position.partition.value());
    writer.Fixed(position.sequence);
  }
}

void AppendNumber(std::string& out, StreamFrameType type, uint64_t number) {
  Begin(out, type, sizeof(number));
  ByteWriter(out).Fixed(number);
}

// As much of a text as fits, without a piece of a character at its end.
std::string_view Cut(std::string_view text) {
  if (text.size() <= kStreamTextBytesMax) return text;
  size_t size = kStreamTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

// --- decoding

bool IsNumber(uint64_t number) { return number > 0 && number <= kStreamNumberMax; }

std::string_view TakeText(ByteReader& reader) { return reader.Raw(reader.Fixed<uint16_t>()); }

// All fields were there, and nothing else.
StreamDefect End(const ByteReader& reader) {
  return reader.ok() && reader.empty() ? StreamDefect::kNone : StreamDefect::kFields;
}

// A partition may say 0: none yet.
StreamDefect TakePositions(ByteReader& reader, std::vector<StreamPosition>& positions) {
  const size_t count = reader.Fixed<uint16_t>();
  if (!reader.ok() || reader.rest().size() != count * kPositionBytes) return StreamDefect::kFields;
  positions.clear();
  positions.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    StreamPosition& position = positions.emplace_back();
    position.partition = PartitionId(reader.Fixed<uint16_t>());
    position.sequence = reader.Fixed<uint64_t>();
    if (position.sequence > kStreamNumberMax) return StreamDefect::kNumber;
  }
  return StreamDefect::kNone;
}

bool HasPartitionTwice(const std::vector<StreamPosition>& positions) {
  std::vector<PartitionId> partitions;
  partitions.reserve(positions.size());
  for (const StreamPosition& position : positions) partitions.push_back(position.partition);
  std::sort(partitions.begin(), partitions.end());
  return std::adjacent_find(partitions.begin(), partitions.end()) != partitions.end();
}

}  // namespace

std::string_view StreamErrorName(StreamError code) {
  switch (code) {
    case StreamError::kVersion:
      return "version";
    case StreamError::kMalformed:
      return "malformed";
    case StreamError::kFenced:
      return "fenced";
    case StreamError::kOrder:
      return "order";
    case StreamError::kDenied:
      return "denied";
    case StreamError::kGoing:
      return "going";
    case StreamError::kRefused:
      break;
  }
  return "refused";
}

void AppendHello(std::string& out, const StreamHello& hello) {
  Begin(out, StreamFrameType::kHello, 4 + 2 + 8 + TextBytes(hello.source) + TextBytes(hello.token));
  ByteWriter writer(out);
  writer.Fixed(kStreamMagic);
  writer.Fixed(hello.version);
  writer.Fixed(hello.incarnation);
  PutText(writer, hello.source);
  PutText(writer, hello.token);
}

void AppendMessage(std::string& out, const StreamMessage& message) {
  Begin(out, StreamFrameType::kMessage, sizeof(message.id) + message.event.size());
  ByteWriter writer(out);
  writer.Fixed(message.id);
  writer.Raw(message.event);
}

void AppendPing(std::string& out, uint64_t number) {
  AppendNumber(out, StreamFrameType::kPing, number);
}

void AppendPong(std::string& out, uint64_t number) {
  AppendNumber(out, StreamFrameType::kPong, number);
}

void AppendOffer(std::string& out, const StreamOffer& offer) {
  BETTONG_CHECK(offer.node_id.size() == kStreamNodeIdBytes);
  Begin(out, StreamFrameType::kOffer,
        4 + 2 + kStreamNodeIdBytes + TextBytes(offer.sink) + TextBytes(offer.token));
  ByteWriter writer(out);
  writer.Fixed(kStreamMagic);
  writer.Fixed(offer.version);
  writer.Raw(offer.node_id);
  PutText(writer, offer.sink);
  PutText(writer, offer.token);
}

void AppendOutput(std::string& out, const StreamOutput& output) {
  Begin(out, StreamFrameType::kOutput,
        kPositionBytes + TextBytes(output.stream) + output.event.size());
  ByteWriter writer(out);
  writer.Fixed(output.position.partition.value());
  writer.Fixed(output.position.sequence);
  PutText(writer, output.stream);
  writer.Raw(output.event);
}

void AppendWelcome(std::string& out, const StreamWelcome& welcome) {
  Begin(out, StreamFrameType::kWelcome, 2 + 8 + 8);
  ByteWriter writer(out);
  writer.Fixed(welcome.version);
  writer.Fixed(welcome.grant.durable);
  writer.Fixed(welcome.grant.allowed);
}

void AppendAcknowledge(std::string& out, const StreamGrant& grant) {
  Begin(out, StreamFrameType::kAcknowledge, 8 + 8);
  ByteWriter writer(out);
  writer.Fixed(grant.durable);
  writer.Fixed(grant.allowed);
}

void AppendError(std::string& out, const StreamRefusal& refusal) {
  const std::string_view text = Cut(refusal.text);
  Begin(out, StreamFrameType::kError, 2 + TextBytes(text));
  ByteWriter writer(out);
  writer.Fixed(refusal.code);
  PutText(writer, text);
}

void AppendResume(std::string& out, const StreamResume& resume) {
  Begin(out, StreamFrameType::kResume, 2 + PositionsBytes(resume.positions));
  ByteWriter writer(out);
  writer.Fixed(resume.version);
  PutPositions(writer, resume.positions);
}

void AppendStored(std::string& out, std::span<const StreamPosition> positions) {
  Begin(out, StreamFrameType::kStored, PositionsBytes(positions));
  ByteWriter writer(out);
  PutPositions(writer, positions);
}

bool StreamOutputFits(size_t stream_bytes, size_t event_bytes) {
  return stream_bytes <= kStreamTextBytesMax &&
         event_bytes <= kStreamFrameBytesMax - kOutputOverheadBytes - stream_bytes;
}

StreamFrame ScanStreamFrame(std::string_view in, StreamTypes taken) {
  StreamFrame frame;
  if (in.size() < kStreamHeaderBytes) return frame;
  frame.length = LoadUnaligned<uint32_t>(in.data());
  frame.type = static_cast<uint8_t>(in[kStreamLengthBytes]);
  frame.kind = StreamFrame::Kind::kMalformed;
  if (!taken.Has(frame.type)) {
    frame.defect = StreamDefect::kType;
    return frame;
  }
  const LengthRange lengths = LengthsOf(frame.type);
  if (frame.length < lengths.least || frame.length > lengths.most) {
    frame.defect = StreamDefect::kLength;
    return frame;
  }
  frame.bytes = kStreamLengthBytes + frame.length;
  frame.kind = StreamFrame::Kind::kMore;
  if (in.size() < frame.bytes) return frame;
  frame.kind = StreamFrame::Kind::kFrame;
  frame.payload = in.substr(kStreamHeaderBytes, frame.length - 1);
  return frame;
}

StreamDefect Decode(std::string_view payload, StreamHello& hello) {
  ByteReader reader(payload);
  if (reader.Fixed<uint32_t>() != kStreamMagic) return StreamDefect::kMagic;
  hello = StreamHello{.version = reader.Fixed<uint16_t>()};
  if (reader.ok() && hello.version != kStreamVersion) return StreamDefect::kNone;
  hello.incarnation = reader.Fixed<uint64_t>();
  hello.source = TakeText(reader);
  hello.token = TakeText(reader);
  if (End(reader) != StreamDefect::kNone) return StreamDefect::kFields;
  return IsUtf8(hello.source) && IsUtf8(hello.token) ? StreamDefect::kNone : StreamDefect::kText;
}

StreamDefect Decode(std::string_view payload, StreamMessage& message) {
  ByteReader reader(payload);
  message.id = reader.Fixed<uint64_t>();
  if (!reader.ok()) return StreamDefect::kFields;
  message.event = reader.rest();
  return IsNumber(message.id) ? StreamDefect::kNone : StreamDefect::kNumber;
}

StreamDefect Decode(std::string_view payload, StreamOffer& offer) {
  ByteReader reader(payload);
  if (reader.Fixed<uint32_t>() != kStreamMagic) return StreamDefect::kMagic;
  offer = StreamOffer{.version = reader.Fixed<uint16_t>()};
  if (reader.ok() && offer.version != kStreamVersion) return StreamDefect::kNone;
  offer.node_id = reader.Raw(kStreamNodeIdBytes);
  offer.sink = TakeText(reader);
  offer.token = TakeText(reader);
  if (End(reader) != StreamDefect::kNone) return StreamDefect::kFields;
  return IsUtf8(offer.sink) && IsUtf8(offer.token) ? StreamDefect::kNone : StreamDefect::kText;
}

StreamDefect Decode(std::string_view payload, StreamOutput& output) {
  ByteReader reader(payload);
  output.position.partition = PartitionId(reader.Fixed<uint16_t>());
  output.position.sequence = reader.Fixed<uint64_t>();
  output.stream = TakeText(reader);
  if (!reader.ok()) return StreamDefect::kFields;
  output.event = reader.rest();
  if (!IsNumber(output.position.sequence)) return StreamDefect::kNumber;
  return IsUtf8(output.stream) ? StreamDefect::kNone : StreamDefect::kText;
}

StreamDefect Decode(std::string_view payload, StreamWelcome& welcome) {
  ByteReader reader(payload);
  welcome.version = reader.Fixed<uint16_t>();
  welcome.grant.durable = reader.Fixed<uint64_t>();
  welcome.grant.allowed = reader.Fixed<uint64_t>();
  return End(reader);
}

StreamDefect Decode(std::string_view payload, StreamGrant& grant) {
  ByteReader reader(payload);
  grant.durable = reader.Fixed<uint64_t>();
  grant.allowed = reader.Fixed<uint64_t>();
  return End(reader);
}

StreamDefect Decode(std::string_view payload, StreamRefusal& refusal) {
  ByteReader reader(payload);
  const auto code = reader.Fixed<uint16_t>();
  const bool known = code > 0 && code <= static_cast<uint16_t>(StreamError::kRefused);
  refusal.code = known ? static_cast<StreamError>(code) : StreamError::kRefused;
  refusal.text = TakeText(reader);
  if (End(reader) != StreamDefect::kNone) return StreamDefect::kFields;
  return IsUtf8(refusal.text) ? StreamDefect::kNone : StreamDefect::kText;
}

StreamDefect Decode(std::string_view payload, StreamResume& resume) {
  ByteReader reader(payload);
  resume.version = reader.Fixed<uint16_t>();
  resume.positions.clear();
  if (reader.ok() && resume.version != kStreamVersion) return StreamDefect::kNone;
  const StreamDefect defect = TakePositions(reader, resume.positions);
  if (defect != StreamDefect::kNone) return defect;
  return HasPartitionTwice(resume.positions) ? StreamDefect::kPartition : StreamDefect::kNone;
}

StreamDefect Decode(std::string_view payload, std::vector<StreamPosition>& positions) {
  ByteReader reader(payload);
  return TakePositions(reader, positions);
}

uint64_t DecodePing(std::string_view payload) {
  BETTONG_CHECK(payload.size() == sizeof(uint64_t));
  return LoadUnaligned<uint64_t>(payload.data());
}

std::string DescribeStreamDefect(StreamDefect defect, const StreamFrame& frame) {
  const std::string what = absl::StrCat("a frame of type ", int{frame.type});
  switch (defect) {
    case StreamDefect::kType:
      return what + ", which is not expected here";
    case StreamDefect::kLength:
      return absl::StrCat(what, " and length ", frame.length);
    case StreamDefect::kFields:
      return what + " whose fields do not fill it";
    case StreamDefect::kMagic:
      return "does not begin with \"BTNG\"";
    case StreamDefect::kNumber:
      return what + " with a number outside of 1 to 2^63 - 1";
    case StreamDefect::kText:
      return what + " with a text that is not UTF-8";
    case StreamDefect::kPartition:
      return what + " that has a partition twice";
    case StreamDefect::kNone:
      break;
  }
  return what;
}

bool TokensEqual(std::string_view given, std::string_view expected) {
  if (given.size() != expected.size()) return false;
  unsigned char differences = 0;
  for (size_t i = 0; i < given.size(); ++i) {
    differences |= static_cast<unsigned char>(given[i] ^ expected[i]);
  }
  return differences == 0;
}

}  // namespace bettong::ingest
