#include "server/config.h"

#include <absl/strings/str_cat.h>

#include <toml++/toml.h>
#include <algorithm>
#include <map>
#include <optional>
#include <variant>

#include "base/host_port.h"
#include "base/json_text.h"
#include "base/nearest_name.h"
#include "base/number_text.h"
#include "compute/turn_runner.h"
#include "ingest/kafka/kafka_client.h"
#include "ingest/kafka/kafka_producer.h"
#include "ingest/kafka/kafka_source.h"
#include "server/config_keys.h"

namespace bettong::server {
namespace {

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

// Tables within the table make names with dots. False: something is neither a scalar nor a table.
bool AddPairs(const std::string& prefix, const toml::table& table, Pairs& pairs) {
  for (const auto& [key, node] : table) {
    const std::string name = absl::StrCat(prefix, std::string(key.str()));
    if (const auto* text = node.as_string()) {
      pairs.emplace_back(name, text->get());
    } else if (const auto* integer = node.as_integer()) {
      pairs.emplace_back(name, std::to_string(integer->get()));
    } else if (const auto* real = node.as_floating_point()) {
      std::string digits;
      AppendFloat(real->get(), digits);
      pairs.emplace_back(name, digits);
    } else if (const auto* flag = node.as_boolean()) {
      pairs.emplace_back(name, flag->get() ? "true" : "false");
    } else if (const auto* inner = node.as_table()) {
      if (!AddPairs(name + ".", *inner, pairs)) return false;
    } else {
      return false;
    }
  }
  return true;
}

std::optional<Value> ToValue(const toml::node& node) {
  if (const auto* text = node.as_string()) return Value(text->get());
  if (const auto* integer = node.as_integer()) return Value(integer->get());
  if (const auto* real = node.as_floating_point()) return Value(real->get());
  if (const auto* flag = node.as_boolean()) return Value(flag->get());
  if (const auto* table = node.as_table()) {
    Pairs pairs;
    if (!AddPairs("", *table, pairs)) return std::nullopt;
    return Value(std::move(pairs));
  }
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
                       "' must be a string, a number, a boolean, a list of strings or a table of "
                       "these"));
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
  size_t equals = assignment.find('=');
  // The value may be a secret.
  std::string where = absl::StrCat("--set ", std::string(assignment.substr(0, equals)), ": ");
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
  std::string_view key = path.substr(last + 1);
  // source.NAME.kafka.sasl.username: an entry of the table that is the key's value.
  for (const std::string_view entries : {".kafka.", ".headers."}) {
    const size_t at = path.find(entries, first + 1);
    if (at == std::string_view::npos) continue;
    table = path.substr(first + 1, at - first - 1);
    key = entries.substr(1, entries.size() - 2);
    const auto* unquoted = std::get_if<std::string>(&value);
    value = Pairs{
        {std::string(path.substr(at + entries.size())), unquoted != nullptr ? *unquoted : text}};
    return Set(config, section, table, key, value, where, origin);
  }
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
  if (const auto* pairs = std::get_if<Pairs>(&answer)) {
    for (const auto& [name, value] : *pairs) {
      text += text.empty() ? "{ " : ", ";
      AppendJsonString(name, text);
      text += " = ";
      AppendJsonString(value, text);
    }
    text += " }";
  }
  // The one character that JSON's strings may hold and TOML's may not.
  for (size_t at; (at = text.find('\x7f')) != std::string::npos;) text.replace(at, 1, "\\u007f");
  if (const auto* integer = std::get_if<int64_t>(&answer)) text = std::to_string(*integer);
  if (const auto* flag = std::get_if<bool>(&answer)) text = *flag ? "true" : "false";
  return text;
}

}  // namespace

namespace {

// What says where a secret is, is none.
void HideSecrets(Pairs& options) {
  for (auto& [name, value] : options) {
    const bool elsewhere = value.starts_with("env:") || value.starts_with("file:");
    if (ingest::IsKafkaSecret(name) && !elsewhere) value = "***";
  }
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
      if (auto* pairs = std::get_if<Pairs>(&answer)) HideSecrets(*pairs);
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
  const Expected wrong = key == "format"      ? SetLineFormat(format, text)
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
  if (!format.value.empty() && format.format != SourceFormat::kRaw) {
    return useless("a value", "format = \"raw\"");
  }
  return absl::OkStatus();
}

namespace {

absl::Status CheckKafkaSource(const ingest::SourceConfig& source, const std::string& table) {
  const auto wrong = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(table, std::string(what)));
  };
  if (source.kafka.client.brokers.empty()) return wrong(" needs brokers = \"HOST:PORT,...\"");
  if (source.kafka.topics.empty()) return wrong(" needs topics = [\"NAME\", ...]");
  if (!source.listen.empty()) return wrong(" has listen: a kafka source connects to brokers");
  if (!source.token.empty()) return wrong(" has a token: needs kind = \"bettong-stream\"");
  if (source.connections != 0) return wrong(" has connections: needs kind = \"tcp\"");
  if (source.kafka.start == ingest::KafkaStart::kStored && source.kafka.group.empty()) {
    return wrong(" has start = \"stored\": needs the group that has stored it");
  }
  if (source.format.format == ingest::SourceFormat::kCsv && source.format.columns.empty()) {
    return wrong(" has format = \"csv\": needs columns, for no record is a header");
  }
  if (absl::Status status = CheckFormat(source.format, table); !status.ok()) return status;
  if (absl::Status status = ingest::KafkaSource::Check(source); !status.ok()) {
    return wrong(absl::StrCat(": ", status.message()));
  }
  return absl::OkStatus();
}

absl::Status CheckKafkaSink(const ingest::SinkConfig& sink, const NodeConfig& config,
                            const std::string& table) {
  const auto wrong = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(table, std::string(what)));
  };
  if (sink.kafka.client.brokers.empty()) return wrong(" needs brokers = \"HOST:PORT,...\"");
  if (sink.kafka.topic.empty()) return wrong(" needs topic = \"NAME\"");
  if (sink.kafka.exactly_once && config.durability == Durability::kOff) {
    return wrong(" has exactly_once = true: needs the log, which is off");
  }
  if (!sink.kafka.transactional_id.empty() && !sink.kafka.exactly_once) {
    return wrong(" has a transactional_id: needs exactly_once = true");
  }
  if (absl::Status status = ingest::KafkaProducer::Check(sink); !status.ok()) {
    return wrong(absl::StrCat(": ", status.message()));
  }
  return absl::OkStatus();
}

}  // namespace

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
  if (config.slow_handler_ms != 0 && config.slow_handler_ms < compute::kSlowTurnMsMin) {
    return absl::InvalidArgumentError(absl::StrCat(
        "[python] slow_handler (", config.slow_handler_ms, " ms) must be at least ",
        compute::kSlowTurnMsMin, " ms, which is about as exactly as turns are measured; 0: never"));
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
    if (source.kind == ingest::SourceKind::kKafka) {
      if (absl::Status status = CheckKafkaSource(source, table); !status.ok()) return status;
      continue;
    }
    if (source.listen.empty())
      return absl::InvalidArgumentError(table + " needs listen = \"HOST:PORT\"");
    if (source.format.format == ingest::SourceFormat::kRaw) {
      return absl::InvalidArgumentError(table + " has format = \"raw\": needs kind = \"kafka\"");
    }
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
  std::map<std::string, std::string> transactional_ids;  // to the sink of that id
  for (const auto& sink : config.sinks) {
    std::string table = where("sink." + sink.name);
    if (const std::string& id = sink.kafka.transactional_id; !id.empty()) {
      const auto [same, fresh] = transactional_ids.emplace(id, sink.name);
      if (!fresh) {
        return absl::InvalidArgumentError(absl::StrCat(table, " has the transactional_id of [sink.",
                                                       same->second,
                                                       "]: they would fence each other"));
      }
    }
    if (sink.stream.empty()) return absl::InvalidArgumentError(table + " needs stream = \"NAME\"");
    if (sink.kind == ingest::SinkKind::kFile && sink.path.empty()) {
      return absl::InvalidArgumentError(table + " needs path = \"FILE\"");
    }
    if (sink.kind == ingest::SinkKind::kKafka) {
      if (absl::Status status = CheckKafkaSink(sink, config, table); !status.ok()) return status;
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
