// For tests of the bettong-stream protocol: frames as words.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/stream_wire.h"

namespace bettong::ingest {

inline constexpr StreamTypes kAllStreamTypes{
    StreamFrameType::kHello,  StreamFrameType::kMessage,     StreamFrameType::kPing,
    StreamFrameType::kOffer,  StreamFrameType::kOutput,      StreamFrameType::kWelcome,
    StreamFrameType::kPong,   StreamFrameType::kAcknowledge, StreamFrameType::kError,
    StreamFrameType::kResume, StreamFrameType::kStored};

// "0b000000 02 0201" -> its bytes.
std::string FromHex(std::string_view hex);

// Each frame as a line: "WELCOME 257 16384", "OUT 3 9 alerts {}", "ERROR order id 5 behind 7". What
// is left over, or malformed, is a line too.
std::vector<std::string> DescribeFrames(std::string_view bytes);

// Frames as bytes, for what the other side says.
std::string HelloBytes(const StreamHello& hello);
std::string MessageBytes(uint64_t id, std::string_view event);
std::string PingBytes(uint64_t number);
std::string PongBytes(uint64_t number);
std::string ErrorBytes(StreamError code, std::string_view text);
std::string ResumeBytes(const std::vector<StreamPosition>& positions);
std::string StoredBytes(const std::vector<StreamPosition>& positions);
StreamPosition At(uint16_t partition, uint64_t sequence);

// Cuts bytes into pieces of drawn sizes, most of them small.
std::vector<std::string_view> CutAtRandom(std::string_view bytes, std::mt19937_64& random);

}  // namespace bettong::ingest
