#include "ingest/kafka/kafka_record.h"

#include <librdkafka/rdkafka.h>
#include <xxhash.h>

#include <algorithm>

namespace bettong::ingest {
namespace {

std::string_view BytesOf(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

}  // namespace

KafkaRecord::KafkaRecord(const KafkaSourceConfig& config, const FormatConfig& format)
    : LineReader(SourceFormat::kRaw) {
  const auto add = [&](Name::From from, std::string field, std::string header = {}) {
    if (!field.empty()) names_.push_back({from, std::move(field), std::move(header)});
  };
  if (format.format == SourceFormat::kRaw) {
    add(Name::From::kValue, format.value.empty() ? std::string(kRawFieldDefault) : format.value);
  }
  add(Name::From::kKey, config.key);
  add(Name::From::kTimestamp, config.timestamp);
  for (const auto& [header, field] : config.headers) add(Name::From::kHeader, field, header);
}

void KafkaRecord::Set(const rd_kafka_message_s& message) { message_ = &message; }

bool KafkaRecord::BeginLine() {
  next_ = 0;
  return true;
}

LineReader::Step KafkaRecord::NextField(LineField& field) {
  while (next_ < names_.size()) {
    if (Read(names_[next_++], field)) return Step::kField;
  }
  return Step::kEnd;
}

bool KafkaRecord::Read(const Name& name, LineField& field) const {
  switch (name.from) {
    case Name::From::kValue:
      if (message_->payload == nullptr) return false;
      SetText(field, LineField::Kind::kTag, name.field, BytesOf(message_->payload, message_->len),
              {});
      return true;
    case Name::From::kKey:
      if (message_->key == nullptr) return false;
      SetText(field, LineField::Kind::kTag, name.field, BytesOf(message_->key, message_->key_len),
              {});
      return true;
    case Name::From::kTimestamp: {
      rd_kafka_timestamp_type_t type;
      const int64_t time_ms = rd_kafka_message_timestamp(message_, &type);
      if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) return false;
      field.kind = LineField::Kind::kValue;
      field.name = name.field;
      field.value.kind = PlainValue::Kind::kInt;
      field.value.integer = time_ms;
      field.token = {};
      return true;
    }
    case Name::From::kHeader: {
      rd_kafka_headers_t* headers = nullptr;
      const void* value = nullptr;
      size_t size = 0;
      if (rd_kafka_message_headers(message_, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
      if (rd_kafka_header_get_last(headers, name.header.c_str(), &value, &size) !=
          RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
      }
      if (value == nullptr) return false;
      SetText(field, LineField::Kind::kTag, name.field, BytesOf(value, size), {});
      return true;
    }
  }
  return false;
}

uint64_t FingerprintOf(const rd_kafka_message_s& message) {
  rd_kafka_timestamp_type_t type;
  const int64_t time_ms = rd_kafka_message_timestamp(&message, &type);
  uint64_t hash =
      XXH3_64bits_withSeed(message.payload, message.payload == nullptr ? 0 : message.len,
                           static_cast<uint64_t>(time_ms));
  hash = XXH3_64bits_withSeed(message.key, message.key == nullptr ? 0 : message.key_len, hash);
  return std::max<uint64_t>(hash, 1);
}

}  // namespace bettong::ingest
