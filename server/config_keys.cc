#include "server/config_keys.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/time.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <utility>

#include "base/byte_size.h"
#include "base/host_port.h"
#include "base/nearest_name.h"
#include "base/number_text.h"
#include "base/utf8.h"
#include "ingest/stream_wire.h"
#include "protocol/notify_letters.h"

namespace bettong::server {
namespace {

constexpr uint64_t kFrameBytesLimit = 64u << 20;  // the most that max_frame_bytes may be

// Whether the setter was asked; then `value` is the answer.
template <typename Said>
bool Asked(const Value& value, Said said) {
  const auto* question = std::get_if<Question>(&value);
  if (question != nullptr) *question->answer = std::move(said);
  return question != nullptr;
}

Expected SetText(std::string& to, const Value& value) {
  if (Asked(value, to)) return "";
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return "a string";
  to = *text;
  return "";
}

Expected SetToken(std::string& to, const Value& value) {
  if (Asked(value, to)) return "";
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || text->size() > ingest::kStreamTextBytesMax || !IsUtf8(*text)) {
    return absl::StrCat("a string of at most ", ingest::kStreamTextBytesMax, " bytes of UTF-8");
  }
  to = *text;
  return "";
}

// "host:port", as text.
Expected SetAddress(std::string& to, const Value& value) {
  if (to.empty() && Asked(value, std::monostate())) return "";
  if (Asked(value, to)) return "";
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || !ParseHostPort(*text).ok()) return "an address, HOST:PORT";
  to = *text;
  return "";
}

template <typename Integer>
Expected SetInteger(Integer& to, const Value& value, int64_t least, int64_t most) {
  if (Asked(value, static_cast<int64_t>(to))) return "";
  const auto* integer = std::get_if<int64_t>(&value);
  if (integer == nullptr || *integer < least || *integer > most) {
    return absl::StrCat("an integer from ", least, " to ", most);
  }
  to = static_cast<Integer>(*integer);
  return "";
}

Expected SetBool(bool& to, const Value& value) {
  if (Asked(value, to)) return "";
  const auto* flag = std::get_if<bool>(&value);
  if (flag == nullptr) return "true or false";
  to = *flag;
  return "";
}

Expected SetNotifyLetters(std::string& to, const Value& value) {
  if (Asked(value, to)) return "";
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || !protocol::ParseNotifyLetters(*text)) {
    return "letters of \"KEg$lshzxetdnA\", as notify-keyspace-events has them";
  }
  to = *text;
  return "";
}

// The port of a "host:port".
Expected SetPort(std::string& address, const Value& value) {
  auto listen = ParseHostPort(address);
  Expected wrong = SetInteger(listen->port, value, 0, 65535);
  if (wrong.empty()) address = FormatHostPort(listen->host, listen->port);
  return wrong;
}

// Seconds, as a number or as text with a unit: 1.5, "250ms", "2s", "5m".
Expected SetDuration(int64_t& to_ms, const Value& value) {
  if (Asked(value, to_ms % 1000 == 0 ? absl::StrCat(to_ms / 1000, "s") : absl::StrCat(to_ms, "ms")))
    return "";
  static constexpr const char* kExpected =
      "a duration: seconds, or text like \"250ms\", \"2s\", \"5m\"";
  double seconds = -1;
  if (const auto* integer = std::get_if<int64_t>(&value)) seconds = static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&value)) seconds = *real;
  if (const auto* text = std::get_if<std::string>(&value)) {
    static constexpr std::pair<std::string_view, double> kUnits[] = {
        {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
    for (auto [unit, factor] : kUnits) {
      if (!text->ends_with(unit)) continue;
      auto number = ParseFloat(std::string_view(*text).substr(0, text->size() - unit.size()));
      if (number) seconds = *number * factor;
      break;
    }
  }
  if (seconds < 0 || seconds > 1e9) return kExpected;
  to_ms = static_cast<int64_t>(seconds * 1000 + 0.5);
  return "";
}

// Texts by name. One of a name that is there already takes its place.
Expected SetPairs(Pairs& to, const Value& value) {
  if (to.empty() && Asked(value, std::monostate())) return "";
  if (Asked(value, to)) return "";
  const auto* pairs = std::get_if<Pairs>(&value);
  if (pairs == nullptr) return "a table, like { \"name\" = \"text\" }";
  for (const auto& [name, text] : *pairs) {
    const auto same =
        std::find_if(to.begin(), to.end(), [&](const auto& each) { return each.first == name; });
    if (same != to.end()) {
      same->second = text;
    } else {
      to.emplace_back(name, text);
    }
  }
  return "";
}

// A list of texts, or one text.
Expected SetTexts(Texts& to, const Value& value) {
  if (to.empty() && Asked(value, std::monostate())) return "";
  if (Asked(value, to)) return "";
  if (const auto* list = std::get_if<Texts>(&value); list != nullptr && !list->empty()) {
    to = *list;
  } else if (const auto* text = std::get_if<std::string>(&value); text != nullptr) {
    to = {*text};
  } else {
    return "a list of names, like [\"metrics\", \"^logs-\"]";
  }
  return "";
}

// Bytes, as a number or as text with a unit: 1048576, "512mb", "2gb".
template <typename Integer>
Expected SetBytes(Integer& to, const Value& value, uint64_t least, uint64_t most) {
  if (Asked(value, static_cast<int64_t>(to))) return "";
  std::optional<uint64_t> bytes;
  if (const auto* integer = std::get_if<int64_t>(&value); integer != nullptr && *integer >= 0) {
    bytes = static_cast<uint64_t>(*integer);
  }
  if (const auto* text = std::get_if<std::string>(&value)) bytes = ParseByteSize(*text);
  if (!bytes || *bytes < least || *bytes > most) {
    std::string expected = "a size in bytes, or text like \"512mb\"";
    if (least > 0) absl::StrAppend(&expected, ", from ", least, " to ", most);
    return expected;
  }
  to = static_cast<Integer>(*bytes);
  return "";
}

// A connection cannot be idle at once: leave it out for "never".
Expected SetIdle(std::optional<int64_t>& to_ms, const Value& value) {
  if (!to_ms && Asked(value, std::monostate())) return "";
  int64_t idle_ms = to_ms.value_or(0);
  Expected expected = SetDuration(idle_ms, value);
  if (!expected.empty()) return expected;
  if (idle_ms == 0) return "a duration of at least 1 ms";
  to_ms = idle_ms;
  return "";
}

template <typename Enum>
using Choices = std::initializer_list<std::pair<std::string_view, Enum>>;

template <typename Enum>
Expected SetChoice(Enum& to, const Value& value, Choices<Enum> choices) {
  for (const auto& [name, choice] : choices) {
    if (choice == to && Asked(value, std::string(name))) return "";
  }
  std::string expected = "one of";
  std::vector<std::string_view> names;
  const auto* text = std::get_if<std::string>(&value);
  for (const auto& [name, choice] : choices) {
    names.push_back(name);
    if (text != nullptr && *text == name) {
      to = choice;
      return "";
    }
    absl::StrAppend(&expected, " \"", std::string(name), "\"");
  }
  const auto nearest = text == nullptr ? std::nullopt : NearestName(*text, names);
  if (nearest) absl::StrAppend(&expected, " (perhaps \"", std::string(*nearest), "\")");
  return expected;
}

}  // namespace

std::string DescribeValue(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return "\"" + *text + "\"";
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) return std::to_string(*real);
  if (std::holds_alternative<Texts>(value)) return "a list";
  if (std::holds_alternative<Pairs>(value)) return "a table";
  const auto* flag = std::get_if<bool>(&value);
  return flag != nullptr && *flag ? "true" : "false";
}

// --- the format of lines

Expected SetLineFormat(ingest::FormatConfig& to, const Value& value) {
  using ingest::SourceFormat;
  return SetChoice(to.format, value,
                   {{"json", SourceFormat::kJson},
                    {"influx", SourceFormat::kInflux},
                    {"graphite", SourceFormat::kGraphite},
                    {"csv", SourceFormat::kCsv}});
}

Expected SetFormat(ingest::FormatConfig& to, const Value& value) {
  using ingest::SourceFormat;
  return SetChoice(to.format, value,
                   {{"json", SourceFormat::kJson},
                    {"influx", SourceFormat::kInflux},
                    {"graphite", SourceFormat::kGraphite},
                    {"csv", SourceFormat::kCsv},
                    {"raw", SourceFormat::kRaw}});
}

// A key that only one format has a use for has no value with the others.
Expected SetPrecision(ingest::FormatConfig& to, const Value& value) {
  using ingest::TimePrecision;
  if (!to.precision && to.format != ingest::SourceFormat::kInflux &&
      Asked(value, std::monostate())) {
    return "";
  }
  TimePrecision precision = to.precision.value_or(TimePrecision::kNs);
  Expected wrong = SetChoice(precision, value,
                             {{"ns", TimePrecision::kNs},
                              {"us", TimePrecision::kUs},
                              {"ms", TimePrecision::kMs},
                              {"s", TimePrecision::kS}});
  if (wrong.empty()) to.precision = precision;
  return wrong;
}

// A list of names, or text with commas.
Expected SetColumns(ingest::FormatConfig& to, const Value& value) {
  if (to.columns.empty() && Asked(value, std::monostate())) return "";
  if (Asked(value, to.columns)) return "";
  Texts columns;
  if (const auto* list = std::get_if<Texts>(&value)) columns = *list;
  if (const auto* text = std::get_if<std::string>(&value)) columns = absl::StrSplit(*text, ',');
  const char* wrong = columns.empty() ? "there are none" : ingest::WrongColumns(columns);
  if (wrong != nullptr) {
    return absl::StrCat("a list of the columns' names, like [\"key\", \"ts\"] (", wrong, ")");
  }
  to.columns = std::move(columns);
  return "";
}

Expected SetDelimiter(ingest::FormatConfig& to, const Value& value) {
  if (!to.delimiter && to.format != ingest::SourceFormat::kCsv && Asked(value, std::monostate())) {
    return "";
  }
  if (Asked(value, std::string(1, to.delimiter.value_or(ingest::kCsvDelimiterDefault)))) return "";
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || !ingest::IsCsvDelimiter(*text)) {
    return "one character of ASCII punctuation, a space or a tab, and no quote";
  }
  to.delimiter = text->front();
  return "";
}

Expected SetRawField(ingest::FormatConfig& to, const Value& value) {
  if (to.value.empty() && to.format != ingest::SourceFormat::kRaw &&
      Asked(value, std::monostate())) {
    return "";
  }
  if (Asked(value, to.value.empty() ? std::string(ingest::kRawFieldDefault) : to.value)) return "";
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || text->empty()) return "the name of a field";
  to.value = *text;
  return "";
}

// --- the keys

namespace {

// A text that need not be there.
Expected SetOptional(std::string& to, const Value& value) {
  if (to.empty() && Asked(value, std::monostate())) return "";
  return SetText(to, value);
}

Expected SetPeriod(int64_t& to_ms, const Value& value) {
  int64_t period_ms = to_ms;
  Expected expected = SetDuration(period_ms, value);
  if (!expected.empty()) return expected;
  if (period_ms == 0) return "a duration of at least 1 ms";
  to_ms = period_ms;
  return "";
}

// "earliest", or a time.
Expected SetStart(ingest::KafkaSourceConfig& to, const Value& value) {
  using ingest::KafkaStart;
  if (to.start == KafkaStart::kTime && Asked(value, to.start_ms)) return "";
  const auto* text = std::get_if<std::string>(&value);
  std::optional<int64_t> time_ms;
  if (const auto* integer = std::get_if<int64_t>(&value)) time_ms = *integer;
  absl::Time time;
  std::string wrong;
  if (text != nullptr && absl::ParseTime(absl::RFC3339_full, *text, &time, &wrong)) {
    time_ms = absl::ToUnixMillis(time);
  }
  if (!time_ms) {
    Expected expected = SetChoice(to.start, value,
                                  {{"earliest", KafkaStart::kEarliest},
                                   {"latest", KafkaStart::kLatest},
                                   {"stored", KafkaStart::kStored}});
    if (expected.empty()) return "";
    return expected + ", or a time, like \"2026-01-31T12:00:00Z\" or milliseconds since 1970";
  }
  if (*time_ms < 0) return "a time since 1970";
  to.start = KafkaStart::kTime;
  to.start_ms = *time_ms;
  return "";
}

using ingest::Framing, ingest::SinkKind, ingest::SourceKind;
using std::string_view;

template <typename Config>
Config& Named(std::vector<Config>& configs, std::string_view name) {
  for (Config& config : configs) {
    if (config.name == name) return config;
  }
  Config& config = configs.emplace_back();
  config.name = std::string(name);
  return config;
}

Section NodeKeys() {
  return {"node",
          false,
          {
              {"shards", [](NodeConfig& c, string_view,
                            const Value& v) { return SetInteger(c.shards, v, 1, 64); }},
              {"maxmemory",
               [](NodeConfig& c, string_view, const Value& v) {
                 return SetBytes(c.maxmemory_bytes, v, 0, INT64_MAX);
               }},
              {"notify_keyspace_events",
               [](NodeConfig& c, string_view, const Value& v) {
                 return SetNotifyLetters(c.notify_keyspace_events, v);
               }},
              {"log_format",
               [](NodeConfig& c, string_view, const Value& v) {
                 return SetChoice(c.log_format, v,
                                  {{"auto", LogFormat::kAuto},
                                   {"text", LogFormat::kText},
                                   {"json", LogFormat::kJson}});
               }},
          }};
}

Section LogKeys() {
  return {
      "log",
      false,
      {
          {"dir",
           [](NodeConfig& c, string_view, const Value& v) { return SetText(c.data_dir, v); }},
          {"durability",
           [](NodeConfig& c, string_view, const Value& v) {
             return SetChoice(c.durability, v,
                              {{"off", Durability::kOff},
                               {"async", Durability::kAsync},
                               {"sync", Durability::kSync}});
           }},
          {"recovery_grace", [](NodeConfig& c, string_view,
                                const Value& v) { return SetDuration(c.recovery_grace_ms, v); }},
          {"segment_bytes",
           [](NodeConfig& c, string_view, const Value& v) {
             return SetBytes(c.segment_bytes, v, wal::kSegmentBytesMin, 1u << 30);
           }},
      }};
}

Section RespKeys() {
  return {
      "resp",
      false,
      {
          {"listen",
           [](NodeConfig& c, string_view, const Value& v) { return SetAddress(c.resp_listen, v); }},
          {"port",
           [](NodeConfig& c, string_view, const Value& v) { return SetPort(c.resp_listen, v); }},
          {"enabled",
           [](NodeConfig& c, string_view, const Value& v) { return SetBool(c.resp_enabled, v); }},
          {"protected_mode",
           [](NodeConfig& c, string_view, const Value& v) { return SetBool(c.resp_protected, v); }},
          {"password",
           [](NodeConfig& c, string_view, const Value& v) { return SetText(c.password, v); }},
          {"maxclients", [](NodeConfig& c, string_view,
                            const Value& v) { return SetInteger(c.clients_max, v, 1, 1'000'000); }},
      }};
}

Section HttpKeys() {
  return {
      "http",
      false,
      {
          {"listen",
           [](NodeConfig& c, string_view, const Value& v) { return SetAddress(c.http_listen, v); }},
          {"port",
           [](NodeConfig& c, string_view, const Value& v) { return SetPort(c.http_listen, v); }},
          {"enabled",
           [](NodeConfig& c, string_view, const Value& v) { return SetBool(c.http_enabled, v); }},
          {"protected_mode",
           [](NodeConfig& c, string_view, const Value& v) { return SetBool(c.http_protected, v); }},
      }};
}

Section PythonKeys() {
  return {
      "python",
      false,
      {
          {"executable", [](NodeConfig& c, string_view,
                            const Value& v) { return SetText(c.python_executable, v); }},
          {"handler_timeout", [](NodeConfig& c, string_view,
                                 const Value& v) { return SetDuration(c.handler_timeout_ms, v); }},
          {"handler_hard_limit",
           [](NodeConfig& c, string_view, const Value& v) {
             return SetDuration(c.handler_hard_limit_ms, v);
           }},
          {"slow_handler", [](NodeConfig& c, string_view,
                              const Value& v) { return SetDuration(c.slow_handler_ms, v); }},
          {"memory_limit",
           [](NodeConfig& c, string_view, const Value& v) {
             return SetBytes(c.python_memory_limit_bytes, v, 0, INT64_MAX);
           }},
      }};
}

Section StreamKeys() {
  return {"stream",
          true,
          {
              {"durability",
               [](NodeConfig& c, string_view n, const Value& v) {
                 return SetChoice(Named(c.streams, n).durability, v,
                                  {{"async", Durability::kAsync}, {"sync", Durability::kSync}});
               }},
          }};
}

ingest::KafkaSourceConfig& From(NodeConfig& config, string_view source) {
  return Named(config.sources, source).kafka;
}

Section SourceKeys() {
  return {
      "source",
      true,
      {
          {"kind",
           [](NodeConfig& c, string_view n, const Value& v) {
             return SetChoice(Named(c.sources, n).kind, v,
                              {{"tcp", SourceKind::kTcp},
                               {"bettong-stream", SourceKind::kBettongStream},
                               {"kafka", SourceKind::kKafka}});
           }},
          {"listen", [](NodeConfig& c, string_view n,
                        const Value& v) { return SetAddress(Named(c.sources, n).listen, v); }},
          {"stream", [](NodeConfig& c, string_view n,
                        const Value& v) { return SetText(Named(c.sources, n).stream, v); }},
          {"framing",
           [](NodeConfig& c, string_view n, const Value& v) {
             return SetChoice(Named(c.sources, n).framing, v,
                              {{"lines", Framing::kLines}, {"length32", Framing::kLength32}});
           }},
          {"format", [](NodeConfig& c, string_view n,
                        const Value& v) { return SetFormat(Named(c.sources, n).format, v); }},
          {"precision", [](NodeConfig& c, string_view n,
                           const Value& v) { return SetPrecision(Named(c.sources, n).format, v); }},
          {"columns", [](NodeConfig& c, string_view n,
                         const Value& v) { return SetColumns(Named(c.sources, n).format, v); }},
          {"delimiter", [](NodeConfig& c, string_view n,
                           const Value& v) { return SetDelimiter(Named(c.sources, n).format, v); }},
          {"value", [](NodeConfig& c, string_view n,
                       const Value& v) { return SetRawField(Named(c.sources, n).format, v); }},
          {"connections",
           [](NodeConfig& c, string_view n, const Value& v) {
             return SetInteger(Named(c.sources, n).connections, v, 0, 100'000);
           }},
          {"idle", [](NodeConfig& c, string_view n,
                      const Value& v) { return SetIdle(Named(c.sources, n).idle_ms, v); }},
          {"max_frame_bytes",
           [](NodeConfig& c, string_view n, const Value& v) {
             return SetBytes(Named(c.sources, n).frame_bytes_max, v, 1, kFrameBytesLimit);
           }},
          {"token", [](NodeConfig& c, string_view n,
                       const Value& v) { return SetToken(Named(c.sources, n).token, v); }},
          {"brokers", [](NodeConfig& c, string_view n,
                         const Value& v) { return SetOptional(From(c, n).client.brokers, v); }},
          {"topics", [](NodeConfig& c, string_view n,
                        const Value& v) { return SetTexts(From(c, n).topics, v); }},
          {"key", [](NodeConfig& c, string_view n,
                     const Value& v) { return SetOptional(From(c, n).key, v); }},
          {"timestamp", [](NodeConfig& c, string_view n,
                           const Value& v) { return SetOptional(From(c, n).timestamp, v); }},
          {"headers", [](NodeConfig& c, string_view n,
                         const Value& v) { return SetPairs(From(c, n).headers, v); }},
          {"start",
           [](NodeConfig& c, string_view n, const Value& v) { return SetStart(From(c, n), v); }},
          {"group", [](NodeConfig& c, string_view n,
                       const Value& v) { return SetOptional(From(c, n).group, v); }},
          {"on_lost",
           [](NodeConfig& c, string_view n, const Value& v) {
             return SetChoice(
                 From(c, n).on_lost, v,
                 {{"stop", ingest::KafkaLost::kStop}, {"skip", ingest::KafkaLost::kSkip}});
           }},
          {"prefetch",
           [](NodeConfig& c, string_view n, const Value& v) {
             return SetBytes(From(c, n).prefetch_bytes, v, 1u << 10, 1u << 30);
           }},
          {"discover", [](NodeConfig& c, string_view n,
                          const Value& v) { return SetPeriod(From(c, n).discover_ms, v); }},
          {"kafka", [](NodeConfig& c, string_view n,
                       const Value& v) { return SetPairs(From(c, n).client.options, v); }},
      }};
}

ingest::KafkaSinkConfig& To(NodeConfig& config, string_view sink) {
  return Named(config.sinks, sink).kafka;
}

Section SinkKeys() {
  return {"sink",
          true,
          {
              {"kind",
               [](NodeConfig& c, string_view n, const Value& v) {
                 return SetChoice(Named(c.sinks, n).kind, v,
                                  {{"stdout", SinkKind::kStdout},
                                   {"file", SinkKind::kFile},
                                   {"tcp", SinkKind::kTcp},
                                   {"bettong-stream", SinkKind::kBettongStream},
                                   {"kafka", SinkKind::kKafka}});
               }},
              {"stream", [](NodeConfig& c, string_view n,
                            const Value& v) { return SetText(Named(c.sinks, n).stream, v); }},
              {"path", [](NodeConfig& c, string_view n,
                          const Value& v) { return SetText(Named(c.sinks, n).path, v); }},
              {"truncate", [](NodeConfig& c, string_view n,
                              const Value& v) { return SetBool(Named(c.sinks, n).truncate, v); }},
              {"address", [](NodeConfig& c, string_view n,
                             const Value& v) { return SetAddress(Named(c.sinks, n).address, v); }},
              {"token", [](NodeConfig& c, string_view n,
                           const Value& v) { return SetToken(Named(c.sinks, n).token, v); }},
              {"brokers", [](NodeConfig& c, string_view n,
                             const Value& v) { return SetOptional(To(c, n).client.brokers, v); }},
              {"topic", [](NodeConfig& c, string_view n,
                           const Value& v) { return SetOptional(To(c, n).topic, v); }},
              {"key", [](NodeConfig& c, string_view n,
                         const Value& v) { return SetOptional(To(c, n).key, v); }},
              {"exactly_once", [](NodeConfig& c, string_view n,
                                  const Value& v) { return SetBool(To(c, n).exactly_once, v); }},
              {"transactional_id",
               [](NodeConfig& c, string_view n, const Value& v) {
                 return SetOptional(To(c, n).transactional_id, v);
               }},
              {"compression",
               [](NodeConfig& c, string_view n, const Value& v) {
                 return SetChoice(To(c, n).compression, v,
                                  {{"none", std::string("none")},
                                   {"gzip", std::string("gzip")},
                                   {"snappy", std::string("snappy")},
                                   {"lz4", std::string("lz4")},
                                   {"zstd", std::string("zstd")}});
               }},
              {"linger", [](NodeConfig& c, string_view n,
                            const Value& v) { return SetDuration(To(c, n).linger_ms, v); }},
              {"kafka", [](NodeConfig& c, string_view n,
                           const Value& v) { return SetPairs(To(c, n).client.options, v); }},
          }};
}

}  // namespace

const std::vector<Section>& Sections() {
  static const auto& sections =
      *new std::vector<Section>{NodeKeys(),   LogKeys(),    RespKeys(),   HttpKeys(),
                                PythonKeys(), StreamKeys(), SourceKeys(), SinkKeys()};
  return sections;
}

}  // namespace bettong::server
