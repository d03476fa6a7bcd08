// What a user configures about sources and sinks, as plain data; server/ fills it from TOML.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bettong::ingest {

enum class SourceKind : uint8_t { kTcp };
enum class SinkKind : uint8_t { kStdout, kFile, kTcp };
enum class Framing : uint8_t { kLines, kLength32 };
enum class Format : uint8_t { kJson };

inline constexpr size_t kFrameBytesDefault = 1u << 20;
inline constexpr size_t kFrameBytesLimit = 64u << 20;

struct SourceConfig {
  std::string name;
  SourceKind kind = SourceKind::kTcp;
  std::string listen = "127.0.0.1:0";  // host:port
  std::string stream;
  Framing framing = Framing::kLines;
  Format format = Format::kJson;
  uint32_t connections = 0;  // the watermark waits until so many have joined; 0: does not wait
  int64_t idle_ms = 0;       // a connection without events for so long leaves the watermark; 0: never
  size_t max_frame_bytes = kFrameBytesDefault;
};

struct SinkConfig {
  std::string name;
  SinkKind kind = SinkKind::kStdout;
  std::string stream;
  std::string path;      // kFile
  bool append = false;   // kFile: keep what is there
  std::string address;   // kTcp: host:port
};

}  // namespace bettong::ingest
