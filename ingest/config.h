// What the configuration says about sources and sinks, as plain data; server/ reads it from TOML.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/frame_reader.h"
#include "ingest/source_format.h"

namespace bettong::ingest {

// Events of one input that may be on their way through the node; it is read on at half of them.
inline constexpr int64_t kSourceWindowEvents = 4'096;
inline constexpr uint32_t kSourceConnectionsMax = 10'000;
inline constexpr int64_t kClientIdleMsDefault = 5'000;  // of what clients add and handlers emit

enum class SourceKind : uint8_t { kTcp, kBettongStream };

// [source.NAME]
struct SourceConfig {
  std::string name;
  SourceKind kind = SourceKind::kTcp;
  std::string listen;  // host:port; port 0: any
  std::string stream;
  Framing framing = Framing::kLines;
  FormatConfig format;
  // The stream has no watermark before so many connections have sent an event; 0: none is waited
  // for.
  uint32_t connections = 0;
  // A connection without events for so long no longer holds the watermark back; unset: it always
  // does.
  std::optional<int64_t> idle_ms;
  size_t frame_bytes_max = kFrameBytesMax;  // `max_frame_bytes`
  uint32_t connections_max = kSourceConnectionsMax;
  std::string token;  // kBettongStream: what senders must say; empty: nothing
};

// The input of `bettong run`.
struct FileSourceConfig {
  std::string path;  // "-": standard input
  Framing framing = Framing::kLines;
  FormatConfig format;
  size_t frame_bytes_max = kFrameBytesMax;
};

enum class SinkKind : uint8_t { kStdout, kFile, kTcp, kBettongStream };

// [sink.NAME]
struct SinkConfig {
  std::string name;
  SinkKind kind = SinkKind::kStdout;
  std::string stream;
  std::vector<std::string> more_streams;  // written to the same place
  std::string path;                       // kFile
  bool truncate = false;                  // kFile: start empty instead of appending
  std::string address;                    // kTcp, kBettongStream: host:port
  std::string token;                      // kBettongStream: what the receiver asks for
};

// Takes one line for the log, from any thread.
using LogLine = std::function<void(std::string_view)>;

}  // namespace bettong::ingest
