// A handle of librdkafka, with what Bettong sets on it; what goes wrong with the brokers is told to
// the log, each thing once, and kept for INFO.
//
// Thread-safe, as the handle is; Serve is called by one thread, again and again.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/log_limit.h"
#include "ingest/config.h"

struct rd_kafka_conf_s;
struct rd_kafka_message_s;
struct rd_kafka_s;

namespace bettong::ingest {

enum class KafkaRole : uint8_t { kConsumer, kProducer };

struct KafkaClientSettings {
  KafkaRole role = KafkaRole::kConsumer;
  TextPairs defaults;  // what `options` of the configuration may say otherwise
  TextPairs fixed;     // what they may not: a key of ours does, or exactly-once needs it
  // Of a producer: a record is delivered, or is not. On the thread that serves.
  void (*delivered)(rd_kafka_s*, const rd_kafka_message_s*, void* opaque) = nullptr;
  void* opaque = nullptr;
  // Of a consumer: a partition's leader does not serve it, or is another one; what is fetched from
  // now on may be another log's (librdkafka 2.0.2 does not look at leaders' epochs, KIP-320, nor
  // at topics' ids). No topic: some broker's connection is lost, and it may be any. On a thread of
  // librdkafka's, before it fetches again, or, of a connection, on the one that serves.
  std::function<void(std::string_view topic, int32_t partition)> unavailable;
};

class KafkaClient {
 public:
  // `what`: "source events", for the log. Refuses options that librdkafka does not know, that
  // Bettong sets itself, and secrets that are not where they should be; asks no broker.
  static absl::StatusOr<std::unique_ptr<KafkaClient>> Make(const KafkaClientConfig& config,
                                                           const KafkaClientSettings& settings,
                                                           std::string what, LogLine log);
  // The same of the options alone.
  static absl::Status Check(const KafkaClientConfig& config, const KafkaClientSettings& settings);
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  rd_kafka_s* handle() const { return handle_; }

  // Calls back what has happened. Waits for something up to `wait_ms`.
  void Serve(int wait_ms);

  // What keeps it from its work, by a short name: told to the log when it begins and ends, and
  // again when it is another. Empty: nothing does.
  void SetTrouble(std::string_view name, const std::string& words);
  // Of that kind: no broker can be reached. The words are followed by the reason that was heard.
  void SetUnreachable(const std::string& words);
  std::string trouble() const;
  // Why the producer cannot go on, and is to be made anew; empty: it can. For who makes the next
  // one to tell the log.
  std::string failure() const;
  // From now on what goes wrong is kept only, for who tells the log of more than this handle.
  void SetSilent(bool silent) { silent_ = silent; }
  // The last that was heard, "NAME: words"; empty: nothing.
  std::string heard() const;

 private:
  KafkaClient(std::string what, LogLine log, void* opaque);

  static absl::StatusOr<rd_kafka_conf_s*> Configure(const KafkaClientConfig& config,
                                                    const KafkaClientSettings& settings);
  void Say(const std::string& words);
  void Hear(const std::string& words, bool connection);
  static void OnError(rd_kafka_s* handle, int error, const char* reason, void* opaque);
  static void OnLog(const rd_kafka_s* handle, int level, const char* facility, const char* text);

  // Of what librdkafka says for debugging, the one thing that it does not say otherwise.
  void HearUnavailable(std::string_view text) const;

  const std::string what_;
  const LogLine log_;
  std::function<void(std::string_view topic, int32_t partition)> unavailable_;
  bool debugs_ = false;  // the configuration asks for what librdkafka says for debugging
  void* const opaque_;   // of `delivered`
  void (*delivered_)(rd_kafka_s*, const rd_kafka_message_s*, void*) = nullptr;
  rd_kafka_s* handle_ = nullptr;
  bool silent_ = false;  // of the thread that serves

  mutable std::mutex mutex_;
  std::string trouble_name_;
  std::string trouble_;
  std::string heard_;  // since the last trouble ended
  bool heard_reason_ = false;
  LogLimit limit_{5, std::chrono::seconds(30)};
};

// Whether an option of this name must not be shown.
bool IsKafkaSecret(std::string_view option);
// What a value says, or what it points to: "env:NAME", "file:PATH".
absl::StatusOr<std::string> ReadKafkaValue(const std::string& option, const std::string& value);

}  // namespace bettong::ingest
