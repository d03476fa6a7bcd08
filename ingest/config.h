// What the configuration says about sources and sinks, as plain data; server/ reads it from TOML.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/frame_reader.h"
#include "ingest/source_format.h"

namespace bettong::ingest {

// Events of one input that may be on their way through the node; it is read on at half of them.
inline constexpr int64_t kSourceWindowEvents = 4'096;
inline constexpr uint32_t kSourceConnectionsMax = 10'000;
inline constexpr int64_t kClientIdleMsDefault = 5'000;  // of what clients add and handlers emit

enum class SourceKind : uint8_t { kTcp, kBettongStream, kKafka };

using TextPairs = std::vector<std::pair<std::string, std::string>>;

// The brokers, and what librdkafka is told beside what Bettong itself sets.
struct KafkaClientConfig {
  std::string brokers;  // host:port,host:port
  TextPairs options;    // `kafka`: librdkafka's names; "env:NAME" and "file:PATH" say where it is
};

// Where a partition begins of which the log knows nothing.
enum class KafkaStart : uint8_t { kEarliest, kLatest, kStored, kTime };
// What becomes of a partition whose next records are gone.
enum class KafkaLost : uint8_t { kStop, kSkip };

inline constexpr size_t kKafkaPrefetchBytes = 1u << 20;  // default of `prefetch`
inline constexpr int64_t kKafkaDiscoverMs = 5'000;       // default of `discover`

// [source.NAME] kind = "kafka"
struct KafkaSourceConfig {
  KafkaClientConfig client;
  std::vector<std::string> topics;  // names; "^..." is a pattern
  std::string key;                  // the field that the record's key becomes; empty: none
  std::string timestamp;            // likewise, its timestamp
  TextPairs headers;                // (header, field)
  KafkaStart start = KafkaStart::kEarliest;
  int64_t start_ms = 0;  // kTime
  std::string group;     // offsets are committed to, for lag monitors; empty: none are
  KafkaLost on_lost = KafkaLost::kStop;
  uint64_t prefetch_bytes = kKafkaPrefetchBytes;  // of each partition
  int64_t discover_ms = kKafkaDiscoverMs;         // topics and partitions are looked for so often
};

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
  KafkaSourceConfig kafka;
};

// The input of `bettong run`.
struct FileSourceConfig {
  std::string path;  // "-": standard input
  Framing framing = Framing::kLines;
  FormatConfig format;
  size_t frame_bytes_max = kFrameBytesMax;
};

enum class SinkKind : uint8_t { kStdout, kFile, kTcp, kBettongStream, kKafka };

inline constexpr int64_t kKafkaLingerMs = 1;  // default of `linger`

// [sink.NAME] kind = "kafka"
struct KafkaSinkConfig {
  KafkaClientConfig client;
  std::string topic;
  std::string key;  // the field of an output that becomes the record's key; empty: none
  bool exactly_once = false;
  std::string transactional_id;  // empty: made of the node's id and the sink's name
  std::string compression = "none";
  int64_t linger_ms = kKafkaLingerMs;
};

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
  KafkaSinkConfig kafka;
};

// Takes one line for the log, from any thread.
using LogLine = std::function<void(std::string_view)>;

}  // namespace bettong::ingest
