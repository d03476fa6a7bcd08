// The frames of docs/stream-protocol.md, version 1. Encoders append whole frames; ScanStreamFrame
// finds the next frame in bytes received, and the decoders take its payload apart, in place: what
// they answer borrows from it.
//
// Pure functions: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace bettong::ingest {

inline constexpr uint16_t kStreamVersion = 1;
inline constexpr uint32_t kStreamMagic = 0x474e5442;       // "BTNG"
inline constexpr size_t kStreamFrameBytesMax = 16u << 20;  // type and payload
inline constexpr size_t kStreamTextBytesMax = 0xffff;      // of a name, a token, an ERROR
inline constexpr size_t kStreamPositionsMax = 0xffff;      // in one RESUME or STORED
inline constexpr uint64_t kStreamNumberMax = INT64_MAX;    // of ids and sequences
inline constexpr size_t kStreamNodeIdBytes = 16;           // of a data directory's id
inline constexpr size_t kStreamLengthBytes = 4;            // a frame's first field
inline constexpr size_t kStreamHeaderBytes = 5;            // length and type
inline constexpr size_t kStreamMessageOverheadBytes = 9;   // type and id of a MSG
inline constexpr size_t kStreamEventBytesMax =             // of a MSG
    kStreamFrameBytesMax - kStreamMessageOverheadBytes;

enum class StreamFrameType : uint8_t {
  kHello = 1,
  kMessage = 2,
  kPing = 3,
  kOffer = 16,
  kOutput = 17,
  kWelcome = 129,
  kAcknowledge = 130,
  kError = 131,
  kPong = 132,
  kResume = 144,
  kStored = 145,
};

// The code of an ERROR.
enum class StreamError : uint16_t {
  kVersion = 1,
  kMalformed = 2,
  kFenced = 3,
  kOrder = 4,
  kDenied = 5,
  kGoing = 6,
  kRefused = 7,
};
// "fenced"; what is not in the table counts as "refused".
std::string_view StreamErrorName(StreamError code);

// A set of frame types: those that a side takes just now.
class StreamTypes {
 public:
  constexpr StreamTypes(std::initializer_list<StreamFrameType> types) {
    for (StreamFrameType type : types) bits_ |= Bit(static_cast<uint8_t>(type));
  }
  constexpr bool Has(uint8_t type) const {
    // 1 to 17 and 129 to 145 are in use.
    return (type & 0x7f) < 32 && (bits_ & Bit(type)) != 0;
  }

 private:
  static constexpr uint64_t Bit(uint8_t type) {
    return uint64_t{1} << ((type & 0x1f) + (type < 0x80 ? 0 : 32));
  }
  uint64_t bits_ = 0;
};

// --- what frames say; texts and events are borrowed

struct StreamHello {
  uint16_t version = kStreamVersion;
  uint64_t incarnation = 0;
  std::string_view source;
  std::string_view token;
  bool operator==(const StreamHello&) const = default;
};

struct StreamMessage {
  uint64_t id = 0;
  std::string_view event;
  bool operator==(const StreamMessage&) const = default;
};

struct StreamOffer {
  uint16_t version = kStreamVersion;
  std::string_view node_id;  // kStreamNodeIdBytes
  std::string_view sink;
  std::string_view token;
  bool operator==(const StreamOffer&) const = default;
};

struct StreamPosition {
  PartitionId partition;
  uint64_t sequence = 0;
  bool operator==(const StreamPosition&) const = default;
};

struct StreamOutput {
  StreamPosition position;
  std::string_view stream;
  std::string_view event;
  bool operator==(const StreamOutput&) const = default;
};

// Of WELCOME and ACK: what the sender may forget, and how much it may send.
struct StreamGrant {
  uint64_t durable = 0;  // every id up to this is done, durably
  uint64_t allowed = 0;  // MSGs of this connection in all
  bool operator==(const StreamGrant&) const = default;
};

struct StreamWelcome {
  uint16_t version = kStreamVersion;
  StreamGrant grant;
  bool operator==(const StreamWelcome&) const = default;
};

struct StreamRefusal {
  StreamError code = StreamError::kRefused;
  std::string_view text;
  bool operator==(const StreamRefusal&) const = default;
};

struct StreamResume {
  uint16_t version = kStreamVersion;
  std::vector<StreamPosition> positions;
  bool operator==(const StreamResume&) const = default;
};

// --- encoding; what does not fit its field is a bug, except for the text of an ERROR, which is cut

void AppendHello(std::string& out, const StreamHello& hello);
void AppendMessage(std::string& out, const StreamMessage& message);
void AppendPing(std::string& out, uint64_t number);
void AppendPong(std::string& out, uint64_t number);
void AppendOffer(std::string& out, const StreamOffer& offer);
void AppendOutput(std::string& out, const StreamOutput& output);
void AppendWelcome(std::string& out, const StreamWelcome& welcome);
void AppendAcknowledge(std::string& out, const StreamGrant& grant);
void AppendError(std::string& out, const StreamRefusal& refusal);
void AppendResume(std::string& out, const StreamResume& resume);
void AppendStored(std::string& out, std::span<const StreamPosition> positions);

// Whether an output fits a frame.
bool StreamOutputFits(size_t stream_bytes, size_t event_bytes);

// --- decoding

// Why bytes are none of this protocol, or not now.
enum class StreamDefect : uint8_t {
  kNone,
  kType,       // a type that is not taken here
  kLength,     // a length that its type cannot have
  kFields,     // ends inside a field, or goes on behind its last one
  kMagic,      // does not begin with "BTNG"
  kNumber,     // an id or sequence outside of its range
  kText,       // not UTF-8
  kPartition,  // a partition twice
};

struct StreamFrame {
  enum class Kind : uint8_t { kMore, kFrame, kMalformed };
  Kind kind = Kind::kMore;
  StreamDefect defect = StreamDefect::kNone;  // kMalformed
  uint8_t type = 0;                           // as soon as there are kStreamHeaderBytes
  uint32_t length = 0;                        // as the frame says it: of type and payload
  std::string_view payload;                   // kFrame
  // Of the whole frame; kMore: that are needed to get on.
  size_t bytes = kStreamHeaderBytes;

  bool Is(StreamFrameType is) const { return type == static_cast<uint8_t>(is); }
};

// The frame that `in` begins with. Its first kStreamHeaderBytes bytes decide whether it is possible
// and `taken` now, so nothing need be kept of one that is not.
StreamFrame ScanStreamFrame(std::string_view in, StreamTypes taken);

// Each answers kNone and fills its frame, or says what is wrong. HELLO, RESUME: of another version
// than ours nothing but the version is read.
StreamDefect Decode(std::string_view payload, StreamHello& hello);
StreamDefect Decode(std::string_view payload, StreamMessage& message);
StreamDefect Decode(std::string_view payload, StreamOffer& offer);
StreamDefect Decode(std::string_view payload, StreamOutput& output);
StreamDefect Decode(std::string_view payload, StreamWelcome& welcome);
StreamDefect Decode(std::string_view payload, StreamGrant& grant);
StreamDefect Decode(std::string_view payload, StreamRefusal& refusal);
StreamDefect Decode(std::string_view payload, StreamResume& resume);
// Of STORED.
StreamDefect Decode(std::string_view payload, std::vector<StreamPosition>& positions);
// Of PING and PONG, whose length ScanStreamFrame has checked.
uint64_t DecodePing(std::string_view payload);

// For ERROR and the log: "a frame of type 2, which is not expected here".
std::string DescribeStreamDefect(StreamDefect defect, const StreamFrame& frame);

// Compares what a peer gives as its token, in a time that does not depend on where they differ.
bool TokensEqual(std::string_view given, std::string_view expected);

}  // namespace bettong::ingest
