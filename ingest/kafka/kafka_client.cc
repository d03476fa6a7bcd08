#include "ingest/kafka/kafka_client.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <librdkafka/rdkafka.h>

#include <syslog.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace bettong::ingest {
namespace {

constexpr size_t kSecretBytesMax = 1u << 20;

absl::Status Wrong(const std::string& option, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("kafka.\"", option, "\": ", std::string(what)));
}

// librdkafka's own words quote the value.
absl::Status SetOption(rd_kafka_conf_t* conf, const std::string& option, const std::string& value) {
  char words[512];
  const auto result = rd_kafka_conf_set(conf, option.c_str(), value.c_str(), words, sizeof(words));
  if (result == RD_KAFKA_CONF_OK) return absl::OkStatus();
  if (result == RD_KAFKA_CONF_UNKNOWN)
    return Wrong(option, "librdkafka has no option of this name");
  if (IsKafkaSecret(option))
    return Wrong(option, "librdkafka does not take this value (not shown)");
  return Wrong(option, words);
}

}  // namespace

bool IsKafkaSecret(std::string_view option) {
  static constexpr std::string_view kSecrets[] = {
      "password", "secret", "ssl.key.pem", "token", "jaas", "extension", "sasl.oauthbearer.config"};
  return std::any_of(std::begin(kSecrets), std::end(kSecrets), [&](std::string_view part) {
    return option.find(part) != std::string_view::npos;
  });
}

absl::StatusOr<std::string> ReadKafkaValue(const std::string& option, const std::string& value) {
  if (value.starts_with("env:")) {
    const std::string name = value.substr(4);
    const char* found = std::getenv(name.c_str());
    if (found == nullptr) {
      return Wrong(option, absl::StrCat("the environment has no variable ", name));
    }
    return std::string(found);
  }
  if (!value.starts_with("file:")) return value;
  const std::string path = value.substr(5);
  std::ifstream file(path, std::ios::binary);
  std::string text;
  text.resize(kSecretBytesMax + 1);
  if (!file.is_open()) return Wrong(option, absl::StrCat("cannot read ", path));
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) return Wrong(option, absl::StrCat("cannot read ", path));
  if (text.size() > kSecretBytesMax) {
    return Wrong(option, absl::StrCat(path, " is larger than 1 MiB"));
  }
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

absl::StatusOr<rd_kafka_conf_t*> KafkaClient::Configure(const KafkaClientConfig& config,
                                                        const KafkaClientSettings& settings) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const auto set = [&](const std::string& option, const std::string& value) {
    return SetOption(conf, option, value);
  };
  absl::Status status = set("client.id", "bettong");
  if (status.ok() && settings.unavailable) status = set("debug", "topic");
  for (const auto& [option, value] : settings.defaults) {
    if (status.ok()) status = set(option, value);
  }
  for (const auto& [option, value] : config.options) {
    if (!status.ok()) break;
    const bool ours = option == "bootstrap.servers" || option == "metadata.broker.list" ||
                      std::any_of(settings.fixed.begin(), settings.fixed.end(),
                                  [&](const auto& each) { return each.first == option; });
    if (ours) {
      status = Wrong(option, "Bettong sets this itself; see docs/kafka.md for the key that does");
      break;
    }
    absl::StatusOr<std::string> text = ReadKafkaValue(option, value);
    if (text.ok() && option == "debug" && settings.unavailable) *text += ",topic";
    status = text.ok() ? set(option, *text) : text.status();
  }
  if (status.ok()) status = set("bootstrap.servers", config.brokers);
  for (const auto& [option, value] : settings.fixed) {
    if (status.ok() && !value.empty()) status = set(option, value);
  }
  if (status.ok()) return conf;
  rd_kafka_conf_destroy(conf);
  return status;
}

// Some combinations only a handle refuses. It talks to nobody yet.
absl::Status KafkaClient::Check(const KafkaClientConfig& config,
                                const KafkaClientSettings& settings) {
  return Make(config, settings, "", nullptr).status();
}

KafkaClient::KafkaClient(std::string what, LogLine log, void* opaque)
    : what_(std::move(what)), log_(std::move(log)), opaque_(opaque) {}

absl::StatusOr<std::unique_ptr<KafkaClient>> KafkaClient::Make(const KafkaClientConfig& config,
                                                               const KafkaClientSettings& settings,
                                                               std::string what, LogLine log) {
  absl::StatusOr<rd_kafka_conf_t*> conf = Configure(config, settings);
  if (!conf.ok()) return conf.status();
  std::unique_ptr<KafkaClient> client(
      new KafkaClient(std::move(what), std::move(log), settings.opaque));
  client->delivered_ = settings.delivered;
  client->unavailable_ = settings.unavailable;
  client->debugs_ = std::any_of(config.options.begin(), config.options.end(),
                                [](const auto& each) { return each.first == "debug"; });
  rd_kafka_conf_set_opaque(*conf, client.get());
  rd_kafka_conf_set_error_cb(*conf, [](rd_kafka_t* handle, int error, const char* reason,
                                       void* opaque) { OnError(handle, error, reason, opaque); });
  rd_kafka_conf_set_log_cb(*conf, OnLog);
  if (settings.role == KafkaRole::kConsumer)
    rd_kafka_conf_set_offset_commit_cb(*conf, [](rd_kafka_t*, rd_kafka_resp_err_t error,
                                                 rd_kafka_topic_partition_list_t*, void* opaque) {
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
      static_cast<KafkaClient*>(opaque)->Say(absl::StrCat(
          "offsets could not be committed for lag monitors: ", rd_kafka_err2name(error), ": ",
          rd_kafka_err2str(error)));
    });
  if (settings.delivered != nullptr) {
    rd_kafka_conf_set_dr_msg_cb(
        *conf, [](rd_kafka_t* handle, const rd_kafka_message_t* message, void* opaque) {
          const auto* self = static_cast<KafkaClient*>(opaque);
          self->delivered_(handle, message, self->opaque_);
        });
  }
  char words[512];
  const bool consumer = settings.role == KafkaRole::kConsumer;
  client->handle_ =
      rd_kafka_new(consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, *conf, words, sizeof(words));
  if (client->handle_ == nullptr) {
    rd_kafka_conf_destroy(*conf);
    return absl::InvalidArgumentError(absl::StrCat("librdkafka: ", words));
  }
  return client;
}

KafkaClient::~KafkaClient() {
  if (handle_ == nullptr) return;
  SetSilent(true);
  if (rd_kafka_type(handle_) == RD_KAFKA_PRODUCER) {
    // What is left is the outbox's: it is not waited for.
    rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(handle_, 0);
  }
  rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void KafkaClient::Serve(int wait_ms) { rd_kafka_poll(handle_, wait_ms); }

void KafkaClient::OnError(rd_kafka_t* handle, int error, const char* reason, void* opaque) {
  auto* self = static_cast<KafkaClient*>(opaque);
  const auto code = static_cast<rd_kafka_resp_err_t>(error);
  const std::string words = absl::StrCat(rd_kafka_err2name(code), ": ", reason);
  // failure() has it.
  if (code == RD_KAFKA_RESP_ERR__FATAL && rd_kafka_type(handle) == RD_KAFKA_PRODUCER) return;
  if (self->unavailable_) self->unavailable_({}, 0);
  const bool connection =
      code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE;
  // That all are down does not say why.
  const bool all_down = code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
  if (!all_down) self->Hear(words, connection);
  if (self->silent_) return;
  // One of several brokers may be away without harm.
  if (connection) return self->Say(words);
  if (all_down || code == RD_KAFKA_RESP_ERR__SSL || code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
    return self->SetUnreachable(words);
  }
  self->SetTrouble(rd_kafka_err2name(code), words);
}

// A connection that is lost says less than what was wrong with it.
void KafkaClient::Hear(const std::string& words, bool connection) {
  const std::lock_guard lock(mutex_);
  const bool reason = !connection || absl::StrContains(words, "SSL");
  if (!reason && heard_reason_) return;
  heard_reason_ = reason;
  heard_ = words;
}

// Of broken connections OnError says the same, and of others' business nobody need know.
void KafkaClient::OnLog(const rd_kafka_t* handle, int level, const char* facility,
                        const char* text) {
  auto* self = static_cast<KafkaClient*>(rd_kafka_opaque(handle));
  if (self == nullptr) return;
  const std::string_view kind = facility;
  if (kind == "BROKERUA" || kind == "BRKMIGR") self->HearUnavailable(text);
  if (kind == "FAIL" || kind == "ERROR") return;
  // It warns of an option of ours.
  if (kind == "CONFWARN" && std::string_view(text).find("gapless") != std::string_view::npos)
    return;
  if (level <= LOG_WARNING) {
    self->Say(absl::StrCat("librdkafka: ", facility, ": ", text));
  } else if (self->debugs_ && self->log_) {
    self->log_(absl::StrCat(self->what_, ": librdkafka: ", facility, ": ", text));
  }
}

// "[thrd:...]: metrics [3]: broker unavailable: fetch: ..."
// "[thrd:...]: Migrating topic metrics [3] 0x7f... from BROKER to BROKER ..."
// "[thrd:...]: metrics [3] 0x7f... sending final LEAVE ..."
void KafkaClient::HearUnavailable(std::string_view text) const {
  if (!unavailable_) return;
  constexpr std::string_view kMigrating = "Migrating topic ";
  if (text.starts_with("[thrd:")) text.remove_prefix(std::min(text.find("]: ") + 3, text.size()));
  if (text.starts_with(kMigrating)) text.remove_prefix(kMigrating.size());
  const size_t open = text.find(" [");
  if (open == std::string_view::npos) return;
  int32_t partition = 0;
  const std::string_view digits = text.substr(open + 2);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), partition);
  if (parsed.ec == std::errc()) unavailable_(text.substr(0, open), partition);
}

void KafkaClient::Say(const std::string& words) {
  if (!log_) return;
  {
    const std::lock_guard lock(mutex_);
    if (!limit_.Admit(std::chrono::steady_clock::now())) return;
  }
  log_(absl::StrCat(what_, ": ", words));
}

void KafkaClient::SetTrouble(std::string_view name, const std::string& words) {
  {
    const std::lock_guard lock(mutex_);
    trouble_ = words;
    if (name.empty()) {
      heard_.clear();
      heard_reason_ = false;
    }
    if (trouble_name_ == name) return;
    trouble_name_ = name;
  }
  if (log_) log_(absl::StrCat(what_, ": ", name.empty() ? "goes on" : words));
}

void KafkaClient::SetUnreachable(const std::string& words) {
  const std::string reason = heard();
  const bool more = !reason.empty() && !absl::StrContains(words, reason);
  SetTrouble(absl::StrCat("unreachable ", reason.substr(0, reason.find(':'))),
             more ? absl::StrCat(words, " (", reason, ")") : words);
}

std::string KafkaClient::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

std::string KafkaClient::heard() const {
  const std::lock_guard lock(mutex_);
  return heard_;
}

std::string KafkaClient::failure() const {
  char words[512];
  const auto code = rd_kafka_fatal_error(handle_, words, sizeof(words));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return absl::StrCat(rd_kafka_err2name(code), ": ", words);
}

}  // namespace bettong::ingest
