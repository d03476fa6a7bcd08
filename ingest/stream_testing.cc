#include "ingest/stream_testing.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "base/check.h"

namespace bettong::ingest {
namespace {

template <typename Frame>
Frame Decoded(const StreamFrame& frame) {
  Frame decoded;
  BETTONG_CHECK(Decode(frame.payload, decoded) == StreamDefect::kNone);
  return decoded;
}

std::string DescribePositions(const std::vector<StreamPosition>& positions) {
  std::string all;
  for (const StreamPosition& position : positions) {
    absl::StrAppend(&all, " ", position.partition.value(), ":", position.sequence);
  }
  return all;
}

std::string Describe(const StreamFrame& frame) {
  switch (static_cast<StreamFrameType>(frame.type)) {
    case StreamFrameType::kHello: {
      const auto hello = Decoded<StreamHello>(frame);
      return absl::StrCat("HELLO ", hello.version, " ", hello.incarnation, " ",
                          std::string(hello.source), " ", std::string(hello.token));
    }
    case StreamFrameType::kMessage: {
      const auto message = Decoded<StreamMessage>(frame);
      return absl::StrCat("MSG ", message.id, " ", std::string(message.event));
    }
    case StreamFrameType::kPing:
      return absl::StrCat("PING ", DecodePing(frame.payload));
    case StreamFrameType::kPong:
      return absl::StrCat("PONG ", DecodePing(frame.payload));
    case StreamFrameType::kOffer: {
      const auto offer = Decoded<StreamOffer>(frame);
      return absl::StrCat("OFFER ", offer.version, " ",
                          absl::BytesToHexString(std::string(offer.node_id)), " ",
                          std::string(offer.sink), " ", std::string(offer.token));
    }
    case StreamFrameType::kOutput: {
      const auto output = Decoded<StreamOutput>(frame);
      return absl::StrCat("OUT ", output.position.partition.value(), " ", output.position.sequence,
                          " ", std::string(output.stream), " ", std::string(output.event));
    }
    case StreamFrameType::kWelcome: {
      const auto welcome = Decoded<StreamWelcome>(frame);
      return absl::StrCat("WELCOME ", welcome.version, " ", welcome.grant.durable, " ",
                          welcome.grant.allowed);
    }
    case StreamFrameType::kAcknowledge: {
      const auto grant = Decoded<StreamGrant>(frame);
      return absl::StrCat("ACK ", grant.durable, " ", grant.allowed);
    }
    case StreamFrameType::kError: {
      const auto refusal = Decoded<StreamRefusal>(frame);
      return absl::StrCat("ERROR ", std::string(StreamErrorName(refusal.code)), " ",
                          std::string(refusal.text));
    }
    case StreamFrameType::kResume: {
      const auto resume = Decoded<StreamResume>(frame);
      return absl::StrCat("RESUME ", resume.version, DescribePositions(resume.positions));
    }
    case StreamFrameType::kStored:
      return absl::StrCat("STORED", DescribePositions(Decoded<std::vector<StreamPosition>>(frame)));
  }
  return "unknown";
}

}  // namespace

std::string FromHex(std::string_view hex) {
  std::string digits(hex);
  digits.erase(std::remove(digits.begin(), digits.end(), ' '), digits.end());
  return absl::HexStringToBytes(digits);
}

std::vector<std::string> DescribeFrames(std::string_view bytes) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const StreamFrame frame = ScanStreamFrame(bytes, kAllStreamTypes);
    if (frame.kind != StreamFrame::Kind::kFrame) {
      lines.push_back(absl::StrCat(frame.kind == StreamFrame::Kind::kMore ? "more" : "malformed",
                                   " ", bytes.size()));
      break;
    }
    lines.push_back(Describe(frame));
    bytes.remove_prefix(frame.bytes);
  }
  return lines;
}

std::string HelloBytes(const StreamHello& hello) {
  std::string bytes;
  AppendHello(bytes, hello);
  return bytes;
}

std::string MessageBytes(uint64_t id, std::string_view event) {
  std::string bytes;
  AppendMessage(bytes, {.id = id, .event = event});
  return bytes;
}

std::string PingBytes(uint64_t number) {
  std::string bytes;
  AppendPing(bytes, number);
  return bytes;
}

std::string PongBytes(uint64_t number) {
  std::string bytes;
  AppendPong(bytes, number);
  return bytes;
}

std::string ErrorBytes(StreamError code, std::string_view text) {
  std::string bytes;
  AppendError(bytes, {.code = code, .text = text});
  return bytes;
}

std::string ResumeBytes(const std::vector<StreamPosition>& positions) {
  std::string bytes;
  AppendResume(bytes, {.positions = positions});
  return bytes;
}

std::string StoredBytes(const std::vector<StreamPosition>& positions) {
  std::string bytes;
  AppendStored(bytes, positions);
  return bytes;
}

StreamPosition At(uint16_t partition, uint64_t sequence) {
  return {.partition = PartitionId(partition), .sequence = sequence};
}

std::vector<std::string_view> CutAtRandom(std::string_view bytes, std::mt19937_64& random) {
  static constexpr size_t kSizes[] = {1, 1, 2, 3, 5, 13, 40, 1000};
  std::vector<std::string_view> pieces;
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kSizes[random() % std::size(kSizes)]);
    pieces.push_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return pieces;
}

}  // namespace bettong::ingest
