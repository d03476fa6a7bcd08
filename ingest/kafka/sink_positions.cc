#include "ingest/kafka/sink_positions.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <cstdint>
#include <utility>

namespace bettong::ingest {
namespace {

constexpr std::string_view kBegin = "bettong";

}  // namespace

std::string EncodeSinkPositions(std::span<const StreamPosition> positions) {
  std::string text(kBegin);
  for (const StreamPosition& each : positions) {
    if (each.sequence > 0) absl::StrAppend(&text, " ", each.partition.value(), ":", each.sequence);
  }
  return text;
}

absl::StatusOr<std::vector<StreamPosition>> DecodeSinkPositions(std::string_view text) {
  std::vector<StreamPosition> positions;
  const std::vector<std::string> words = absl::StrSplit(std::string(text), ' ');
  bool good = words[0] == kBegin;
  for (size_t i = 1; i < words.size() && good; ++i) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(words[i], absl::MaxSplits(':', 1));
    uint32_t partition = 0;
    uint64_t sequence = 0;
    good = absl::SimpleAtoi(parts.first, &partition) && partition <= UINT16_MAX &&
           absl::SimpleAtoi(parts.second, &sequence);
    positions.push_back({PartitionId(static_cast<uint16_t>(partition)), sequence});
  }
  if (good) return positions;
  return absl::DataLossError(
      absl::StrCat("'", std::string(text.substr(0, 80)), "' are no positions of a sink"));
}

}  // namespace bettong::ingest
