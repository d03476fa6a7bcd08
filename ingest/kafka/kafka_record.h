// What comes with a record's value: its key, its timestamp, its headers, as fields of the event;
// and, of the raw format, the value itself. One for each partition, on its shard's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/config.h"
#include "ingest/line_reader.h"

struct rd_kafka_message_s;

namespace bettong::ingest {

class KafkaRecord final : public LineReader {
 public:
  KafkaRecord(const KafkaSourceConfig& config, const FormatConfig& format);

  // The record at hand. It must outlive what is read of it.
  void Set(const rd_kafka_message_s& message);

  // No field comes of anything but the value.
  bool nothing_beside() const { return names_.empty(); }

 private:
  struct Name {
    enum class From : uint8_t { kValue, kKey, kTimestamp, kHeader };
    From from;
    std::string field;
    std::string header;
  };

  bool BeginLine() override;
  Step NextField(LineField& field) override;
  // False: the record has no such thing.
  bool Read(const Name& name, LineField& field) const;

  std::vector<Name> names_;
  const rd_kafka_message_s* message_ = nullptr;
  size_t next_ = 0;
};

// To know a record again by: never 0.
uint64_t FingerprintOf(const rd_kafka_message_s& message);

}  // namespace bettong::ingest
