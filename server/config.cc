#include "server/config.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <toml++/toml.h>
#include <algorithm>
#include <functional>
#include <optional>
#include <variant>

#include "base/byte_size.h"
#include "base/host_port.h"
#include "base/json_text.h"
#include "base/nearest_name.h"
#include "base/number_text.h"
#include "base/utf8.h"
#include "ingest/stream_wire.h"
#include "protocol/notify_letters.h"

namespace bettong::server {
namespace {

constexpr uint64_t kFrameBytesLimit = 64u << 20;  // the most that max_frame_bytes may be

// What a key's setter is given to be asked instead of told: it answers the value as the file would
// have it. So one row of the table says both.
using Texts = std::vector<std::string>;
using Answer = std::variant<std::monostate, std::string, int64_t, bool, Texts>;
struct Question {
  Answer* answer;
};

using Value = std::variant<std::string, int64_t, double, bool, Texts, Question>;

// Whether the setter was asked; then `value` is the answer.
template <typename Said>
bool Asked(const Value& value, Said said) {
  const auto* question = std::get_if<Question>(&value);
  if (question != nullptr) *question->answer = std::move(said);
  return question != nullptr;
}

std::string DescribeValue(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return "\"" + *text + "\"";
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) return std::to_string(*real);
  if (std::holds_alternative<Texts>(value)) return "a list";
  const auto* flag = std::get_if<bool>(&value);
  return flag != nullptr && *flag ? "true" : "false";
}

// What a setter answers: empty, or what was expected.
using Expected = std::string;

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

// --- the format of lines: keys of [source.NAME], and options of `bettong run`

Expected SetFormat(ingest::FormatConfig& to, const Value& value) {
  using ingest::SourceFormat;
  return SetChoice(to.format, value,
                   {{"json", SourceFormat::kJson},
                    {"influx", SourceFormat::kInflux},
                    {"graphite", SourceFormat::kGraphite},
                    {"csv", SourceFormat::kCsv}});
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

// --- the keys

struct Key {
  std::string_view name;
  std::function<Expected(NodeConfig&, std::string_view table_name, const Value&)> set;
};

struct Section {
  std::string_view name;
  bool named;  // [source.NAME]
  std::vector<Key> keys;
};

template <typename Config>
Config& Named(std::vector<Config>& configs, std::string_view name) {
  for (Config& config : configs) {
    if (config.name == name) return config;
  }
  Config& config = configs.emplace_back();
  config.name = std::string(name);
  return config;
}

const std::vector<Section>& Sections() {
  using ingest::Framing, ingest::SinkKind, ingest::SourceKind;
  using std::string_view;
  static const auto& sections = *new std::
                                    vector<Section>{
                                        {"node",
                                         false,
                                         {
                                             {"shards",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetInteger(c.shards, v, 1, 64);
                                              }},
                                             {"maxmemory",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetBytes(c.maxmemory_bytes, v, 0, INT64_MAX);
                                              }},
                                             {"notify_keyspace_events",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetNotifyLetters(c.notify_keyspace_events,
                                                                        v);
                                              }},
                                             {"log_format",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetChoice(c.log_format, v,
                                                                 {{"auto", LogFormat::kAuto},
                                                                  {"text", LogFormat::kText},
                                                                  {"json", LogFormat::kJson}});
                                              }},
                                         }},
                                        {"log",
                                         false,
                                         {
                                             {"dir",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetText(c.data_dir, v);
                                              }},
                                             {"durability",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetChoice(c.durability, v,
                                                                 {{"off", Durability::kOff},
                                                                  {"async", Durability::kAsync},
                                                                  {"sync", Durability::kSync}});
                                              }},
                                             {"recovery_grace",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetDuration(c.recovery_grace_ms, v);
                                              }},
                                             {"segment_bytes",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetBytes(c.segment_bytes, v,
                                                                wal::kSegmentBytesMin, 1u << 30);
                                              }},
                                         }},
                                        {"resp",
                                         false,
                                         {
                                             {"listen",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetAddress(c.resp_listen, v);
                                              }},
                                             {"port",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetPort(c.resp_listen, v);
                                              }},
                                             {"enabled",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetBool(c.resp_enabled, v);
                                              }},
                                             {"protected_mode",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetBool(c.resp_protected, v);
                                              }},
                                             {"password",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetText(c.password, v);
                                              }},
                                             {"maxclients",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetInteger(c.clients_max, v, 1, 1'000'000);
                                              }},
                                         }},
                                        {"http",
                                         false,
                                         {
                                             {"listen",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetAddress(c.http_listen, v);
                                              }},
                                             {"port",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetPort(c.http_listen, v);
                                              }},
                                             {"enabled",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetBool(c.http_enabled, v);
                                              }},
                                             {"protected_mode",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetBool(c.http_protected, v);
                                              }},
                                         }},
                                        {"python",
                                         false,
                                         {
                                             {"executable",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetText(c.python_executable, v);
                                              }},
                                             {"handler_timeout",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetDuration(c.handler_timeout_ms, v);
                                              }},
                                             {"handler_hard_limit",
                                              [](NodeConfig& c, string_view, const Value& v) {
                                                return SetDuration(c.handler_hard_limit_ms, v);
                                              }},
                                         }},
                                        {"stream",
                                         true,
                                         {
                                             {"durability",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetChoice(Named(c.streams, n).durability, v,
                                                                 {{"async", Durability::kAsync},
                                                                  {"sync", Durability::kSync}});
                                              }},
                                         }},
                                        {"source",
                                         true,
                                         {
                                             {"kind",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetChoice(Named(c.sources, n).kind, v,
                                                                 {{"tcp", SourceKind::kTcp},
                                                                  {"bettong-stream",
                                                                   SourceKind::kBettongStream}});
                                              }},
                                             {"listen",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetAddress(Named(c.sources, n).listen, v);
                                              }},
                                             {"stream",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetText(Named(c.sources, n).stream, v);
                                              }},
                                             {"framing",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetChoice(
                                                    Named(c.sources, n).framing, v,
                                                    {{"lines", Framing::kLines},
                                                     {"length32", Framing::kLength32}});
                                              }},
                                             {"format",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetFormat(Named(c.sources, n).format, v);
                                              }},
                                             {"precision",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetPrecision(Named(c.sources, n).format, v);
                                              }},
                                             {"columns",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetColumns(Named(c.sources, n).format, v);
                                              }},
                                             {"delimiter",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetDelimiter(Named(c.sources, n).format, v);
                                              }},
                                             {"connections",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetInteger(Named(c.sources, n).connections,
                                                                  v, 0, 100'000);
                                              }},
                                             {"idle",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetIdle(Named(c.sources, n).idle_ms, v);
                                              }},
                                             {"max_frame_bytes",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetBytes(Named(c.sources, n).frame_bytes_max,
                                                                v, 1, kFrameBytesLimit);
                                              }},
                                             {"token",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetToken(Named(c.sources, n).token, v);
                                              }},
                                         }},
                                        {"sink",
                                         true,
                                         {
                                             {"kind",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetChoice(
                                                    Named(c.sinks, n).kind, v,
                                                    {{"stdout", SinkKind::kStdout},
                                                     {"file", SinkKind::kFile},
                                                     {"tcp", SinkKind::kTcp},
                                                     {"bettong-stream", SinkKind::kBettongStream}});
                                              }},
                                             {"stream",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetText(Named(c.sinks, n).stream, v);
                                              }},
                                             {"path",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetText(Named(c.sinks, n).path, v);
                                              }},
                                             {"truncate",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetBool(Named(c.sinks, n).truncate, v);
                                              }},
                                             {"address",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetAddress(Named(c.sinks, n).address, v);
                                              }},
                                             {"token",
                                              [](NodeConfig& c, string_view n, const Value& v) {
                                                return SetToken(Named(c.sinks, n).token, v);
                                              }},
                                         }},
                                    };
  return sections;
}

// "; did you mean 'x'?", or what there is.
template <typename Rows>
std::string Suggestion(std::string_view name, const Rows& rows, std::string_view open,
                       std::string_view close) {
  std::vector<std::string_view> names;
  for (const auto& row : rows) names.push_back(row.name);
  const auto quoted = [&](std::string_view text) {
    return absl::StrCat(std::string(open), std::string(text), std::string(close));
  };
  if (const auto nearest = NearestName(name, names)) {
    return absl::StrCat("; did you mean ", quoted(*nearest), "?");
  }
  std::string all;
  for (std::string_view each : names) absl::StrAppend(&all, all.empty() ? "" : ", ", quoted(each));
  return absl::StrCat("; there are ", all);
}

std::string PathOf(std::string_view section, std::string_view table, std::string_view key) {
  std::string path(section);
  if (!table.empty()) path.append(".").append(table);
  return path.append(".").append(key);
}

void NoteOrigin(NodeConfig& config, std::string_view section, std::string_view table,
                std::string_view key, std::string_view origin) {
  config.key_origins[PathOf(section, table, key)] = std::string(origin);
  // The port is a part of the address.
  if (key == "port") config.key_origins[PathOf(section, table, "listen")] = std::string(origin);
  if (key == "listen") config.key_origins[PathOf(section, table, "port")] = std::string(origin);
}

// Sets section[.table].key; `where` begins the message of an error.
absl::Status Set(NodeConfig& config, std::string_view section_name, std::string_view table,
                 std::string_view key_name, const Value& value, const std::string& where,
                 std::string_view origin) {
  for (const Section& section : Sections()) {
    if (section.name != section_name) continue;
    const std::string name = absl::StrCat("[", std::string(section_name), table.empty() ? "" : ".",
                                          std::string(table), "]");
    if (section.named == table.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, section.named
                     ? absl::StrCat(name, " needs a name: ", std::string(section.name), ".NAME.",
                                    std::string(key_name))
                     : absl::StrCat("there is no table ", name, "; it is ",
                                    std::string(section.name), ".", std::string(key_name))));
    }
    for (const Key& key : section.keys) {
      if (key.name != key_name) continue;
      Expected expected = key.set(config, table, value);
      if (expected.empty()) {
        NoteOrigin(config, section_name, table, key_name, origin);
        return absl::OkStatus();
      }
      return absl::InvalidArgumentError(absl::StrCat(where, "'", std::string(key_name),
                                                     "' must be ", expected, ", not ",
                                                     DescribeValue(value)));
    }
    return absl::InvalidArgumentError(absl::StrCat(where, "unknown key '", std::string(key_name),
                                                   "' in ", name,
                                                   Suggestion(key_name, section.keys, "'", "'")));
  }
  return absl::InvalidArgumentError(absl::StrCat(where, "unknown table [",
                                                 std::string(section_name), "]",
                                                 Suggestion(section_name, Sections(), "[", "]")));
}

std::optional<Value> ToValue(const toml::node& node) {
  if (const auto* text = node.as_string()) return Value(text->get());
  if (const auto* integer = node.as_integer()) return Value(integer->get());
  if (const auto* real = node.as_floating_point()) return Value(real->get());
  if (const auto* flag = node.as_boolean()) return Value(flag->get());
  const auto* list = node.as_array();
  if (list == nullptr) return std::nullopt;
  Texts texts;
  for (const toml::node& each : *list) {
    const auto* text = each.as_string();
    if (text == nullptr) return std::nullopt;
    texts.push_back(text->get());
  }
  return Value(std::move(texts));
}

absl::Status LoadTable(const std::string& path, std::string_view section,
                       std::string_view table_name, const toml::table& table, NodeConfig& config) {
  for (const auto& [key, node] : table) {
    const std::string origin = absl::StrCat(path, ":", key.source().begin.line);
    const std::string where = origin + ": ";
    auto value = ToValue(node);
    if (!value) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "'", std::string(key.str()),
                       "' must be a string, a number, a boolean or a list of strings"));
    }
    absl::Status status = Set(config, section, table_name, key.str(), *value, where, origin);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadConfigFile(const std::string& path, NodeConfig& config) {
  config.config_file = path;
  toml::table root;
  try {
    root = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", error.source().begin.line, ": ", std::string(error.description())));
  }
  for (const auto& [key, node] : root) {
    std::string where = absl::StrCat(path, ":", key.source().begin.line, ": ");
    auto section = std::find_if(Sections().begin(), Sections().end(),
                                [&, name = key.str()](const Section& s) { return s.name == name; });
    const toml::table* table = node.as_table();
    if (section == Sections().end() || table == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, "unknown ", table != nullptr ? "table [" : "key '", std::string(key.str()),
          table != nullptr ? "]" : "'", Suggestion(key.str(), Sections(), "[", "]")));
    }
    if (!section->named) {
      absl::Status status = LoadTable(path, key.str(), "", *table, config);
      if (!status.ok()) return status;
      continue;
    }
    for (const auto& [name, entry] : *table) {
      const toml::table* named = entry.as_table();
      if (named == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(path, ":", name.source().begin.line, ": [",
                                                       std::string(key.str()), "] needs a name: [",
                                                       std::string(key.str()), ".NAME]"));
      }
      config.table_origins.emplace(
          absl::StrCat(std::string(key.str()), ".", std::string(name.str())),
          absl::StrCat(path, ":", name.source().begin.line, ": "));
      absl::Status status = LoadTable(path, key.str(), name.str(), *named, config);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status ApplySetting(std::string_view assignment, NodeConfig& config,
                          std::string_view origin) {
  std::string where = absl::StrCat("--set ", std::string(assignment), ": ");
  size_t equals = assignment.find('=');
  size_t first = assignment.find('.');
  if (equals == std::string_view::npos || first == std::string_view::npos || first > equals) {
    return absl::InvalidArgumentError(where + "expected path=value, like node.shards=2");
  }
  std::string_view path = assignment.substr(0, equals);
  std::string text(assignment.substr(equals + 1));
  std::string_view section = path.substr(0, first);
  size_t last = path.rfind('.');
  std::string_view table =
      last > first ? path.substr(first + 1, last - first - 1) : std::string_view();
  // A value is read as TOML would read it; what is no number, boolean or quoted string is a string.
  Value value = text;
  if (auto integer = ParseInt(text)) {
    value = *integer;
  } else if (auto real = ParseFloat(text)) {
    value = *real;
  } else if (text == "true" || text == "false") {
    value = text == "true";
  } else if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    value = text.substr(1, text.size() - 2);
  }
  const std::string_view key = path.substr(last + 1);
  absl::Status status = Set(config, section, table, key, value, where, origin);
  // A password may look like a number.
  if (!status.ok() && Set(config, section, table, key, text, where, origin).ok()) {
    return absl::OkStatus();
  }
  return status;
}

// --- showing it

namespace {

std::string ToToml(const Answer& answer) {
  std::string text;
  if (const auto* words = std::get_if<std::string>(&answer)) AppendJsonString(*words, text);
  if (const auto* list = std::get_if<Texts>(&answer)) {
    for (const std::string& each : *list) {
      text += text.empty() ? "[" : ", ";
      AppendJsonString(each, text);
    }
    text += "]";
  }
  // The one character that JSON's strings may hold and TOML's may not.
  for (size_t at; (at = text.find('\x7f')) != std::string::npos;) text.replace(at, 1, "\\u007f");
  if (const auto* integer = std::get_if<int64_t>(&answer)) text = std::to_string(*integer);
  if (const auto* flag = std::get_if<bool>(&answer)) text = *flag ? "true" : "false";
  return text;
}

}  // namespace

std::vector<ConfigKey> ListConfig(const NodeConfig& config) {
  NodeConfig asked = config;
  std::vector<ConfigKey> keys;
  const auto list = [&](const Section& section, const std::string& table) {
    for (const Key& key : section.keys) {
      Answer answer;
      key.set(asked, table, Value(Question{&answer}));
      const auto* text = std::get_if<std::string>(&answer);
      const bool secret = key.name == "password" || key.name == "token";
      if (secret && text != nullptr && !text->empty()) answer = "***";
      const auto origin = config.key_origins.find(PathOf(section.name, table, key.name));
      keys.push_back({absl::StrCat(std::string(section.name), table.empty() ? "" : ".", table),
                      std::string(key.name), ToToml(answer),
                      origin == config.key_origins.end() ? "default" : origin->second});
    }
  };
  for (const Section& section : Sections()) {
    if (!section.named) list(section, "");
    for (const auto& stream : config.streams) {
      if (section.name == "stream") list(section, stream.name);
    }
    for (const auto& source : config.sources) {
      if (section.name == "source") list(section, source.name);
    }
    for (const auto& sink : config.sinks) {
      if (section.name == "sink") list(section, sink.name);
    }
  }
  return keys;
}

absl::Status SetFormatOption(std::string_view key, const std::string& text,
                             ingest::FormatConfig& format) {
  const Expected wrong = key == "format"      ? SetFormat(format, text)
                         : key == "precision" ? SetPrecision(format, text)
                         : key == "columns"   ? SetColumns(format, text)
                                              : SetDelimiter(format, text);
  if (wrong.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", std::string(key), " must be ", wrong, ", not \"", text, "\""));
}

absl::Status CheckFormat(const ingest::FormatConfig& format, std::string_view where) {
  using ingest::SourceFormat;
  const auto useless = [&](const char* key, const char* needed) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(where), " has ", key, ": needs ", needed));
  };
  if (format.precision && format.format != SourceFormat::kInflux) {
    return useless("a precision", "format = \"influx\"");
  }
  if (!format.columns.empty() && format.format != SourceFormat::kCsv) {
    return useless("columns", "format = \"csv\"");
  }
  if (format.delimiter && format.format != SourceFormat::kCsv) {
    return useless("a delimiter", "format = \"csv\"");
  }
  return absl::OkStatus();
}

absl::Status CheckConfig(const NodeConfig& config) {
  auto where = [&](const std::string& table) {
    auto origin = config.table_origins.find(table);
    return absl::StrCat(origin == config.table_origins.end() ? "" : origin->second, "[", table,
                        "]");
  };
  if (config.handler_hard_limit_ms != 0 &&
      (config.handler_timeout_ms == 0 ||
       config.handler_hard_limit_ms <= config.handler_timeout_ms)) {
    return absl::InvalidArgumentError(
        absl::StrCat("[python] handler_hard_limit (", config.handler_hard_limit_ms,
                     " ms) must be longer than handler_timeout (", config.handler_timeout_ms,
                     config.handler_timeout_ms == 0 ? " ms: never)" : " ms)"));
  }
  if (config.resp_enabled && config.resp_protected && config.password.empty()) {
    auto listen = ParseHostPort(config.resp_listen);
    if (listen.ok() && !IsLoopback(listen->host)) {
      return absl::InvalidArgumentError(
          absl::StrCat("resp.listen = ", config.resp_listen,
                       " would let everyone on the network in: set resp.password, or listen on "
                       "127.0.0.1 (or, if "
                       "something else keeps strangers away, set resp.protected_mode = false)"));
    }
  }
  if (config.http_enabled && config.http_protected) {
    auto listen = ParseHostPort(config.http_listen);
    if (listen.ok() && !IsLoopback(listen->host)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "http.listen = ", config.http_listen,
          " would show everyone on the network what this node does: listen on 127.0.0.1 (or, if "
          "something else keeps strangers away, set http.protected_mode = false)"));
    }
  }
  for (const auto& source : config.sources) {
    std::string table = where("source." + source.name);
    if (source.stream.empty())
      return absl::InvalidArgumentError(table + " needs stream = \"NAME\"");
    if (source.listen.empty())
      return absl::InvalidArgumentError(table + " needs listen = \"HOST:PORT\"");
    if (source.kind == ingest::SourceKind::kBettongStream &&
        source.format.format != ingest::SourceFormat::kJson) {
      return absl::InvalidArgumentError(
          table + " has another format than \"json\": needs kind = \"tcp\", a bettong-stream has " +
          "JSON only");
    }
    if (absl::Status status = CheckFormat(source.format, table); !status.ok()) return status;
    if (!source.token.empty() && source.kind != ingest::SourceKind::kBettongStream)
      return absl::InvalidArgumentError(table + " has a token: needs kind = \"bettong-stream\"");
  }
  for (const auto& sink : config.sinks) {
    std::string table = where("sink." + sink.name);
    if (sink.stream.empty()) return absl::InvalidArgumentError(table + " needs stream = \"NAME\"");
    if (sink.kind == ingest::SinkKind::kFile && sink.path.empty()) {
      return absl::InvalidArgumentError(table + " needs path = \"FILE\"");
    }
    const bool is_stream = sink.kind == ingest::SinkKind::kBettongStream;
    if ((sink.kind == ingest::SinkKind::kTcp || is_stream) && sink.address.empty()) {
      return absl::InvalidArgumentError(table + " needs address = \"HOST:PORT\"");
    }
    if (!sink.token.empty() && !is_stream) {
      return absl::InvalidArgumentError(table + " has a token: needs kind = \"bettong-stream\"");
    }
  }
  return absl::OkStatus();
}

}  // namespace bettong::server
