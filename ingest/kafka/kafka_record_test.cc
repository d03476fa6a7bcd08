// What becomes of a record's key, timestamp, headers and value: in event classes and without one,
// beside each format. Records come from librdkafka's own imitation of a broker.

#include "ingest/kafka/kafka_record.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <vector>

#include "ingest/event_decoder.h"
#include "ingest/ingest_testing.h"
#include "ingest/kafka/mock_brokers.h"

namespace bettong::ingest {
namespace {

using grid::EventFieldType;

// A record, as it is fetched.
class Fetched {
 public:
  Fetched(std::string_view value, std::string_view key,
          const std::vector<std::pair<std::string, std::string>>& headers) {
    brokers_ = MockBrokers::Make(1).value();
    EXPECT_TRUE(brokers_->CreateTopic("t", 1).ok());
    KafkaClientConfig config{.brokers = brokers_->addresses(), .options = {}};
    auto producer =
        KafkaClient::Make(config, {.role = KafkaRole::kProducer}, "producer", nullptr).value();
    rd_kafka_headers_t* made = rd_kafka_headers_new(4);
    for (const auto& [name, text] : headers) {
      rd_kafka_header_add(made, name.c_str(), -1, text.data(), static_cast<ssize_t>(text.size()));
    }
    const char* no_key = nullptr;
    EXPECT_EQ(
        rd_kafka_producev(
            producer->handle(), RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(0),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
            RD_KAFKA_V_KEY(const_cast<char*>(key.empty() ? no_key : key.data()), key.size()),
            RD_KAFKA_V_TIMESTAMP(1'700'000'000'123), RD_KAFKA_V_HEADERS(made), RD_KAFKA_V_END),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_flush(producer->handle(), 10'000);
    client_ =
        KafkaClient::Make(config, {.role = KafkaRole::kConsumer}, "consumer", nullptr).value();
    topic_ = rd_kafka_topic_new(client_->handle(), "t", nullptr);
    rd_kafka_consume_start(topic_, 0, 0);
    message_ = rd_kafka_consume(topic_, 0, 10'000);
    EXPECT_NE(message_, nullptr);
  }
  ~Fetched() {
    rd_kafka_message_destroy(message_);
    rd_kafka_consume_stop(topic_, 0);
    rd_kafka_topic_destroy(topic_);
  }
  Fetched(const Fetched&) = delete;
  Fetched& operator=(const Fetched&) = delete;

  const rd_kafka_message_t& message() const { return *message_; }

 private:
  std::unique_ptr<MockBrokers> brokers_;
  std::unique_ptr<KafkaClient> client_;
  rd_kafka_topic_t* topic_ = nullptr;
  rd_kafka_message_t* message_ = nullptr;
};

grid::EventSchema Sample() {
  grid::EventSchema schema;
  schema.name = "Sample";
  schema.fields = {
      Field("host", EventFieldType::kText, "\"?\""), Field("value", EventFieldType::kInt, "-1"),
      Field("ts", EventFieldType::kInt, "0"), OptionalField("trace", EventFieldType::kText, "null"),
      Field("raw", EventFieldType::kBytes, "\"\"")};
  schema.time_field = 2;
  return schema;
}

grid::EventSchema Unclassed() {
  return grid::EventSchema{.name = "", .fields = {Field("", EventFieldType::kAny)}};
}

// The event as JSON, or the error in words.
std::string Decode(const Fetched& fetched, grid::EventSchema schema, const KafkaSourceConfig& kafka,
                   const FormatConfig& format) {
  JsonDocument document;
  EventDecoder decoder(StreamId(1), schema, {}, document);
  KafkaRecord record(kafka, format);
  record.Set(fetched.message());
  std::string text(static_cast<const char*>(fetched.message().payload), fetched.message().len);
  const size_t size = text.size();
  text.append(kFramePaddingBytes, ' ');
  const std::string_view value = std::string_view(text).substr(0, size);
  ByteBuffer records;
  DecodeError error;
  const auto lines = MakeLineReader(format);
  if (format.format == SourceFormat::kRaw) {
    record.Begin(value, 0);
    error = decoder.DecodeLine(record, value, records);
  } else if (lines != nullptr) {
    lines->Begin(value, 0);
    error = decoder.DecodeLine(*lines, value, records, &record);
  } else {
    error = decoder.DecodeJson(value, records, &record);
  }
  if (!error.ok()) {
    EXPECT_EQ(records.view(), "") << "half a record was left";
    return DescribeDecodeError(error, schema, value);
  }
  const auto& event = *reinterpret_cast<const grid::EventRecord*>(records.data());
  std::string json =
      schema.name.empty() ? std::string(event.Bytes(0)) : grid::RenderEventJson(event, schema);
  if (event.time_ms != kNoTime) json += " at " + std::to_string(event.time_ms);
  return json;
}

const KafkaSourceConfig kBeside = [] {
  KafkaSourceConfig config;
  config.key = "host";
  config.timestamp = "ts";
  config.headers = {{"trace-id", "trace"}};
  return config;
}();

TEST(KafkaRecordTest, WhatStandsBesideAValueCountsMoreThanWhatIsInIt) {
  const Fetched record(R"({"value":7,"host":"inside","ts":5})", "web-01", {{"trace-id", "abc"}});
  const std::string expected =
      R"({"host":"web-01","value":7,"ts":1700000000123,"trace":"abc","raw":""} at 1700000000123)";
  EXPECT_EQ(Decode(record, Sample(), kBeside, {}), expected);
  // Through the general parser, too: an escape is none of the quick one's.
  const Fetched escaped(R"({"value":7,"h\u006fst":"inside"})", "web-01", {{"trace-id", "abc"}});
  EXPECT_EQ(Decode(escaped, Sample(), kBeside, {}), expected);
}

TEST(KafkaRecordTest, WhatARecordHasNotIsLeftToTheValueAndToDefaults) {
  const Fetched record(R"({"value":7,"host":"inside"})", "", {{"other", "abc"}});
  EXPECT_EQ(
      Decode(record, Sample(), kBeside, {}),
      R"({"host":"inside","value":7,"ts":1700000000123,"trace":null,"raw":""} at 1700000000123)");
}

TEST(KafkaRecordTest, TheLastHeaderOfANameCounts) {
  const Fetched record("{}", "k", {{"trace-id", "first"}, {"trace-id", "last"}});
  EXPECT_EQ(
      Decode(record, Sample(), kBeside, {}),
      R"({"host":"k","value":-1,"ts":1700000000123,"trace":"last","raw":""} at 1700000000123)");
}

TEST(KafkaRecordTest, ANumberIsReadFromAText) {
  KafkaSourceConfig config;
  config.key = "value";
  EXPECT_EQ(Decode(Fetched("{}", "42", {}), Sample(), config, {}),
            R"({"host":"?","value":42,"ts":0,"trace":null,"raw":""} at 0)");
  const std::string error =
      Decode(Fetched(R"({"value":1})", "forty-two", {}), Sample(), config, {});
  EXPECT_EQ(error,
            "field 'value' of Sample: expected an int, got what the record's key, timestamp or "
            "header has");
}

TEST(KafkaRecordTest, ARawValueIsOneFieldWhateverIsInIt) {
  KafkaSourceConfig config;
  config.key = "host";
  EXPECT_EQ(Decode(Fetched("{\"value\":1}\n", "k", {}), Sample(), config,
                   {.format = SourceFormat::kRaw, .value = "raw"}),
            R"({"host":"k","value":-1,"ts":0,"trace":null,"raw":"{\"value\":1}\n"} at 0)");
  EXPECT_EQ(Decode(Fetched("12", "k", {}), Sample(), config, {.format = SourceFormat::kRaw}),
            R"({"host":"k","value":12,"ts":0,"trace":null,"raw":""} at 0)")
      << "the field is called value unless told otherwise";
}

TEST(KafkaRecordTest, LinesHaveFieldsBesideThemToo) {
  const Fetched record("9,inside", "web-01", {});
  EXPECT_EQ(
      Decode(record, Sample(), kBeside,
             {.format = SourceFormat::kCsv, .columns = {"value", "host"}}),
      R"({"host":"web-01","value":9,"ts":1700000000123,"trace":null,"raw":""} at 1700000000123)");
}

TEST(KafkaRecordTest, AnEventWithoutAClassGetsThemAsMembers) {
  EXPECT_EQ(
      Decode(Fetched(R"({"n":1} )", "web-01", {{"trace-id", "a\"b"}}), Unclassed(), kBeside, {}),
      R"({"n":1,"host":"web-01","ts":1700000000123,"trace":"a\"b"})");
  EXPECT_EQ(Decode(Fetched("{ }", "k", {}), Unclassed(), kBeside, {}),
            R"({ "host":"k","ts":1700000000123})");
  EXPECT_EQ(Decode(Fetched("[1]", "k", {}), Unclassed(), kBeside, {}),
            "expected a JSON object, got a list");
  EXPECT_NE(Decode(Fetched("{\"n\":}", "k", {}), Unclassed(), kBeside, {}).find("not valid JSON"),
            std::string::npos);
}

TEST(KafkaRecordTest, AFingerprintTellsRecordsApart) {
  const Fetched record("v", "k", {});
  const uint64_t known = FingerprintOf(record.message());
  EXPECT_EQ(FingerprintOf(Fetched("v", "k", {}).message()), known);
  EXPECT_NE(FingerprintOf(Fetched("w", "k", {}).message()), known);
  EXPECT_NE(FingerprintOf(Fetched("v", "l", {}).message()), known);
  EXPECT_NE(FingerprintOf(Fetched("vk", "", {}).message()), known);
}

}  // namespace
}  // namespace bettong::ingest
