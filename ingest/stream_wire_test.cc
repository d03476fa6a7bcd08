#include "ingest/stream_wire.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "ingest/stream_testing.h"

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using Kind = StreamFrame::Kind;

struct Golden {
  std::function<void(std::string&)> append;
  const char* words;
  const char* hex;  // as docs/stream-protocol.md has it
};

const std::string& NodeId() {
  static const auto& id = *new std::string(FromHex("000102030405060708090a0b0c0d0e0f"));
  return id;
}

std::vector<Golden> Goldens() {
  return {
      {[](std::string& out) {
         AppendHello(out,
                     {.incarnation = 0x0102030405060708, .source = "collector-7", .token = "s3"});
       },
       "HELLO 1 72623859790382856 collector-7 s3",
       "20000000 01 42544e47 0100 0807060504030201 0b00 636f6c6c6563746f722d37 0200 7333"},
      {[](std::string& out) { AppendMessage(out, {.id = 258, .event = "{}"}); }, "MSG 258 {}",
       "0b000000 02 0201000000000000 7b7d"},
      {[](std::string& out) { AppendPing(out, 7); }, "PING 7", "09000000 03 0700000000000000"},
      {[](std::string& out) { AppendOffer(out, {.node_id = NodeId(), .sink = "alerts"}); },
       "OFFER 1 000102030405060708090a0b0c0d0e0f alerts ",
       "21000000 10 42544e47 0100 000102030405060708090a0b0c0d0e0f 0600 616c65727473 0000"},
      {[](std::string& out) {
         AppendOutput(out, {.position = At(3, 9), .stream = "alerts", .event = "{}"});
       },
       "OUT 3 9 alerts {}", "15000000 11 0300 0900000000000000 0600 616c65727473 7b7d"},
      {[](std::string& out) { AppendWelcome(out, {.grant = {.durable = 257, .allowed = 16384}}); },
       "WELCOME 1 257 16384", "13000000 81 0100 0101000000000000 0040000000000000"},
      {[](std::string& out) { AppendAcknowledge(out, {.durable = 258, .allowed = 16385}); },
       "ACK 258 16385", "11000000 82 0201000000000000 0140000000000000"},
      {[](std::string& out) { AppendError(out, {.code = StreamError::kGoing, .text = "going"}); },
       "ERROR going going", "0a000000 83 0600 0500 676f696e67"},
      {[](std::string& out) { AppendPong(out, 7); }, "PONG 7", "09000000 84 0700000000000000"},
      {[](std::string& out) {
         AppendResume(out, {.positions = {At(3, 9), At(5, 2)}});
       },
       "RESUME 1 3:9 5:2", "19000000 90 0100 0200 0300 0900000000000000 0500 0200000000000000"},
      {[](std::string& out) { AppendStored(out, std::vector{At(3, 9)}); }, "STORED 3:9",
       "0d000000 91 0100 0300 0900000000000000"},
  };
}

std::string Header(uint32_t length, uint8_t type) {
  std::string bytes(kStreamHeaderBytes, '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes[kStreamLengthBytes] = static_cast<char>(type);
  return bytes;
}

// The defect of a whole frame of this type with this payload.
StreamDefect DefectOf(StreamFrameType type, std::string_view payload) {
  StreamHello hello;
  StreamMessage message;
  StreamOffer offer;
  StreamOutput output;
  StreamWelcome welcome;
  StreamGrant grant;
  StreamRefusal refusal;
  StreamResume resume;
  std::vector<StreamPosition> stored;
  switch (type) {
    case StreamFrameType::kHello:
      return Decode(payload, hello);
    case StreamFrameType::kMessage:
      return Decode(payload, message);
    case StreamFrameType::kOffer:
      return Decode(payload, offer);
    case StreamFrameType::kOutput:
      return Decode(payload, output);
    case StreamFrameType::kWelcome:
      return Decode(payload, welcome);
    case StreamFrameType::kAcknowledge:
      return Decode(payload, grant);
    case StreamFrameType::kError:
      return Decode(payload, refusal);
    case StreamFrameType::kResume:
      return Decode(payload, resume);
    case StreamFrameType::kStored:
      return Decode(payload, stored);
    case StreamFrameType::kPing:
    case StreamFrameType::kPong:
      return payload.size() == 8 ? StreamDefect::kNone : StreamDefect::kFields;
  }
  return StreamDefect::kType;
}

TEST(StreamWire, FramesHaveTheBytesOfTheSpecification) {
  for (const Golden& golden : Goldens()) {
    std::string bytes;
    golden.append(bytes);
    EXPECT_EQ(bytes, FromHex(golden.hex)) << golden.words;
    EXPECT_THAT(DescribeFrames(bytes), ElementsAre(golden.words));
  }
}

TEST(StreamWire, FrameIsFoundOnceItsLastByteIsThere) {
  for (const Golden& golden : Goldens()) {
    const std::string whole = FromHex(golden.hex);
    for (size_t size = 0; size < whole.size(); ++size) {
      const StreamFrame part = ScanStreamFrame(whole.substr(0, size), kAllStreamTypes);
      EXPECT_EQ(part.kind, Kind::kMore) << golden.words << " " << size;
      EXPECT_EQ(part.bytes, size < kStreamHeaderBytes ? kStreamHeaderBytes : whole.size());
    }
    const std::string more = whole + "x";
    const StreamFrame frame = ScanStreamFrame(more, kAllStreamTypes);
    EXPECT_EQ(frame.kind, Kind::kFrame);
    EXPECT_EQ(frame.bytes, whole.size());
  }
}

TEST(StreamWire, PayloadCutShortOrGoingOnIsMalformed) {
  for (const Golden& golden : Goldens()) {
    const std::string whole = FromHex(golden.hex);
    const auto type = static_cast<StreamFrameType>(whole[kStreamLengthBytes]);
    const std::string payload = whole.substr(kStreamHeaderBytes);
    EXPECT_EQ(DefectOf(type, payload), StreamDefect::kNone);
    // An event goes on to the frame's end, wherever that is.
    const bool has_event = type == StreamFrameType::kMessage || type == StreamFrameType::kOutput;
    for (size_t size = 0; size < payload.size() - (has_event ? 2 : 0); ++size) {
      EXPECT_NE(DefectOf(type, payload.substr(0, size)), StreamDefect::kNone)
          << golden.words << " " << size;
    }
    const StreamDefect longer = DefectOf(type, payload + "x");
    EXPECT_EQ(longer, has_event ? StreamDefect::kNone : StreamDefect::kFields) << golden.words;
  }
}

TEST(StreamWire, FirstFiveBytesTellWhatCannotBe) {
  struct Case {
    StreamFrameType type;
    size_t least, most;
  };
  const size_t text = 65535;
  const std::vector<Case> cases = {
      {StreamFrameType::kHello, 19, 19 + 2 * text},
      {StreamFrameType::kMessage, 9, 16777216},
      {StreamFrameType::kPing, 9, 9},
      {StreamFrameType::kOffer, 27, 27 + 2 * text},
      {StreamFrameType::kOutput, 13, 16777216},
      {StreamFrameType::kWelcome, 19, 19},
      {StreamFrameType::kAcknowledge, 17, 17},
      {StreamFrameType::kError, 5, 5 + text},
      {StreamFrameType::kPong, 9, 9},
      {StreamFrameType::kResume, 5, 5 + 10 * text},
      {StreamFrameType::kStored, 3, 3 + 10 * text},
  };
  for (const Case& each : cases) {
    const auto type = static_cast<uint8_t>(each.type);
    const auto scan = [&](size_t length) {
      return ScanStreamFrame(Header(static_cast<uint32_t>(length), type), kAllStreamTypes);
    };
    for (size_t length : {each.least, each.most}) {
      EXPECT_EQ(scan(length).kind, Kind::kMore) << int{type} << " " << length;
      EXPECT_EQ(scan(length).bytes, 4 + length);
    }
    for (size_t length : {size_t{0}, each.least - 1, each.most + 1, size_t{UINT32_MAX}}) {
      EXPECT_EQ(scan(length).kind, Kind::kMalformed) << int{type} << " " << length;
      EXPECT_EQ(scan(length).defect, StreamDefect::kLength);
    }
  }
}

TEST(StreamWire, TypesThatAreNotTakenAreMalformedWhateverTheirLength) {
  constexpr StreamTypes kTaken{StreamFrameType::kPing, StreamFrameType::kStored};
  for (int type = 0; type < 256; ++type) {
    const bool taken = type == 3 || type == 145;
    const StreamFrame frame = ScanStreamFrame(Header(9, static_cast<uint8_t>(type)), kTaken);
    EXPECT_EQ(frame.kind, taken ? Kind::kMore : Kind::kMalformed) << type;
    EXPECT_EQ(frame.defect, taken ? StreamDefect::kNone : StreamDefect::kType) << type;
  }
  EXPECT_EQ(DescribeStreamDefect(StreamDefect::kType, ScanStreamFrame(Header(9, 2), kTaken)),
            "a frame of type 2, which is not expected here");
}

TEST(StreamWire, LargestEventFits) {
  const std::string event(kStreamEventBytesMax, 'x');
  const std::string bytes = MessageBytes(1, event);
  const StreamFrame frame = ScanStreamFrame(bytes, kAllStreamTypes);
  ASSERT_EQ(frame.kind, Kind::kFrame);
  EXPECT_EQ(frame.length, kStreamFrameBytesMax);
  StreamMessage message;
  ASSERT_EQ(Decode(frame.payload, message), StreamDefect::kNone);
  EXPECT_TRUE(message.event == event);
  EXPECT_DEATH(MessageBytes(1, event + "x"), "kStreamFrameBytesMax");
}

TEST(StreamWire, WhatFitsAnOutputIsKnownBefore) {
  const size_t most = kStreamFrameBytesMax - 13 - 6;
  EXPECT_TRUE(StreamOutputFits(6, most));
  EXPECT_FALSE(StreamOutputFits(6, most + 1));
  EXPECT_FALSE(StreamOutputFits(kStreamTextBytesMax + 1, 0));
  std::string bytes;
  AppendOutput(bytes, {.position = At(0, 1), .stream = "alerts", .event = std::string(most, 'x')});
  EXPECT_EQ(bytes.size(), 4 + kStreamFrameBytesMax);
  EXPECT_EQ(ScanStreamFrame(bytes, kAllStreamTypes).kind, Kind::kFrame);
}

TEST(StreamWire, NumbersOutsideOfTheirRangeAreMalformed) {
  const auto message = [](uint64_t id) {
    return DefectOf(StreamFrameType::kMessage, MessageBytes(id, "{}").substr(5));
  };
  const auto output = [](uint64_t sequence) {
    std::string bytes;
    AppendOutput(bytes, {.position = At(1, sequence)});
    return DefectOf(StreamFrameType::kOutput, bytes.substr(5));
  };
  const auto stored = [](uint64_t sequence) {
    return DefectOf(StreamFrameType::kStored, StoredBytes({At(1, sequence)}).substr(5));
  };
  const auto resume = [](uint64_t sequence) {
    return DefectOf(StreamFrameType::kResume, ResumeBytes({At(1, sequence)}).substr(5));
  };
  for (uint64_t number : {uint64_t{1}, kStreamNumberMax}) {
    for (const auto& of : {+message, +output, +stored, +resume}) {
      EXPECT_EQ(of(number), StreamDefect::kNone) << number;
    }
  }
  for (uint64_t number : {kStreamNumberMax + 1, uint64_t{UINT64_MAX}}) {
    for (const auto& of : {+message, +output, +stored, +resume}) {
      EXPECT_EQ(of(number), StreamDefect::kNumber) << number;
    }
  }
  EXPECT_EQ(message(0), StreamDefect::kNumber);
  EXPECT_EQ(output(0), StreamDefect::kNumber);
  EXPECT_EQ(stored(0), StreamDefect::kNone);  // "none yet"
}

TEST(StreamWire, TextsAreUtf8AndHaveALimit) {
  const std::string longest(kStreamTextBytesMax, 'x');
  const StreamHello hello{.incarnation = 1, .source = longest, .token = longest};
  const std::string bytes = HelloBytes(hello);
  StreamHello decoded;
  ASSERT_EQ(Decode(std::string_view(bytes).substr(5), decoded), StreamDefect::kNone);
  EXPECT_TRUE(decoded == hello);
  EXPECT_DEATH(HelloBytes({.source = longest + "x"}), "kStreamTextBytesMax");
  const auto defect = [](const StreamHello& bad) {
    return DefectOf(StreamFrameType::kHello, HelloBytes(bad).substr(5));
  };
  EXPECT_EQ(defect({.source = "caf\xc3\xa9"}), StreamDefect::kNone);
  EXPECT_EQ(defect({.source = "caf\xe9"}), StreamDefect::kText);
  EXPECT_EQ(defect({.source = "a", .token = "\xff"}), StreamDefect::kText);
}

TEST(StreamWire, LongErrorIsCutBetweenCharacters) {
  std::string text = "a";
  for (int i = 0; i < 40'000; ++i) text += "\xc3\xa9";
  const std::string bytes = ErrorBytes(StreamError::kRefused, text);
  StreamRefusal refusal;
  ASSERT_EQ(Decode(std::string_view(bytes).substr(5), refusal), StreamDefect::kNone);
  EXPECT_EQ(refusal.text.size(), kStreamTextBytesMax);
  text.resize(kStreamTextBytesMax);
  EXPECT_TRUE(refusal.text == text);
  std::string shifted = "ab";
  for (int i = 0; i < 40'000; ++i) shifted += "\xc3\xa9";
  const std::string shorter = ErrorBytes(StreamError::kRefused, shifted);
  ASSERT_EQ(Decode(std::string_view(shorter).substr(5), refusal), StreamDefect::kNone);
  EXPECT_EQ(refusal.text.size(), kStreamTextBytesMax - 1);
}

TEST(StreamWire, UnknownErrorCountsAsRefused) {
  for (uint16_t code : {uint16_t{0}, uint16_t{8}, uint16_t{999}}) {
    const std::string bytes = ErrorBytes(static_cast<StreamError>(code), "why");
    EXPECT_THAT(DescribeFrames(bytes), ElementsAre("ERROR refused why")) << code;
  }
  EXPECT_EQ(StreamErrorName(StreamError::kFenced), "fenced");
}

TEST(StreamWire, OfAnotherVersionNothingElseIsRead) {
  std::string payload = FromHex("42544e47 0200") + "whatever this may be";
  StreamHello hello;
  EXPECT_EQ(Decode(payload, hello), StreamDefect::kNone);
  EXPECT_EQ(hello, (StreamHello{.version = 2}));
  StreamResume resume;
  EXPECT_EQ(Decode(FromHex("0300 ffff"), resume), StreamDefect::kNone);
  EXPECT_EQ(resume.version, 3);
  payload[0] = 'b';
  EXPECT_EQ(Decode(payload, hello), StreamDefect::kMagic);
}

TEST(StreamWire, ResumeNamesEachPartitionOnce) {
  const auto defect = [](const std::vector<StreamPosition>& positions) {
    return DefectOf(StreamFrameType::kResume, ResumeBytes(positions).substr(5));
  };
  EXPECT_EQ(defect({At(1, 2), At(0, 2), At(2, 2)}), StreamDefect::kNone);
  EXPECT_EQ(defect({At(1, 2), At(0, 2), At(1, 3)}), StreamDefect::kPartition);
}

TEST(StreamWire, MostPositionsThatFit) {
  std::vector<StreamPosition> positions;
  for (size_t i = 0; i < kStreamPositionsMax; ++i) positions.push_back(At(uint16_t(i), i + 1));
  const std::string bytes = ResumeBytes(positions);
  StreamResume resume;
  ASSERT_EQ(Decode(std::string_view(bytes).substr(5), resume), StreamDefect::kNone);
  EXPECT_TRUE(resume.positions == positions);
  positions.push_back(At(65535, 1));
  EXPECT_DEATH(StoredBytes(positions), "kStreamPositionsMax");
}

TEST(StreamWire, TokensAreEqualToTheLastByte) {
  EXPECT_TRUE(TokensEqual("", ""));
  EXPECT_TRUE(TokensEqual("secret", "secret"));
  EXPECT_FALSE(TokensEqual("secret", "secreT"));
  EXPECT_FALSE(TokensEqual("Secret", "secret"));
  EXPECT_FALSE(TokensEqual("secre", "secret"));
  EXPECT_FALSE(TokensEqual("secret", ""));
  EXPECT_FALSE(TokensEqual("\x01", std::string(1, '\0')));
}

}  // namespace
}  // namespace bettong::ingest
