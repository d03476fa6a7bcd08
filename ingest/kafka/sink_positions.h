// How far each of our partitions has come with a Kafka sink, as text: "bettong 0:123 5:7". It is
// the state of the sink's endpoint in our log, or stands in the metadata of an offset in Kafka's.
#pragma once

#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/stream_wire.h"

namespace bettong::ingest {

// Partitions of which nothing is stored may be left out.
std::string EncodeSinkPositions(std::span<const StreamPosition> positions);
absl::StatusOr<std::vector<StreamPosition>> DecodeSinkPositions(std::string_view text);

}  // namespace bettong::ingest
