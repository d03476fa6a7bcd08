// The parts of segment_reader.h that look at a directory, not at records.

#include <algorithm>
#include <utility>

#include "wal/errors.h"
#include "wal/segment_reader.h"

namespace bettong::wal {
namespace {

absl::StatusOr<SegmentInfo> ReadHeader(FileSystem& files, std::string path) {
  auto file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return InWal(file.status());
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return InWal(size.status());
  std::string bytes(std::min<uint64_t>(*size, kSegmentHeaderBytes), '\0');
  if (absl::Status status = (*file)->ReadAt(0, bytes); !status.ok()) return InWal(status);
  SegmentHeaderResult result = DecodeSegmentHeader(bytes);
  if (!result.header) return Corruption(path, ": ", result.error);
  if (*size < result.header->file_bytes) {
    return Corruption(path, ": has ", *size, " bytes, its header says ", result.header->file_bytes);
  }
  return SegmentInfo{std::move(path), *result.header};
}

// What is wrong with a segment behind another, in words; empty: nothing.
std::string FaultOfSuccessor(const SegmentHeader& before, const SegmentHeader& header) {
  if (header.epoch < before.epoch) {
    return absl::StrCat("is of epoch ", header.epoch.value(), ", the one before of ",
                        before.epoch.value());
  }
  if (header.epoch == before.epoch && header.first_lsn < before.first_lsn) {
    return absl::StrCat("begins with record ", header.first_lsn.value(), ", the one before with ",
                        before.first_lsn.value());
  }
  if (header.epoch != before.epoch && header.first_lsn.value() != 1) {
    return absl::StrCat("begins epoch ", header.epoch.value(), " with record ",
                        header.first_lsn.value(), ": what is before is missing");
  }
  return {};
}

}  // namespace

absl::StatusOr<std::vector<SegmentInfo>> ListSegments(FileSystem& files,
                                                      const std::string& directory,
                                                      const NodeUuid& node, ShardId shard) {
  const auto names = files.List(directory);
  if (!names.ok()) return InWal(names.status());
  std::vector<SegmentNumber> numbers;
  for (const std::string& name : *names) {
    if (const auto number = ParseSegmentFileName(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());

  std::vector<SegmentInfo> segments;
  for (SegmentNumber number : numbers) {
    const std::string path = directory + "/" + SegmentFileName(number);
    if (!segments.empty() && segments.back().header.number.value() + 1 != number.value()) {
      return Corruption(path, ": the segment before it is missing");
    }
    absl::StatusOr<SegmentInfo> info = ReadHeader(files, path);
    if (!info.ok()) return info.status();
    const SegmentHeader& header = info->header;
    if (header.node != node) return Corruption(path, ": is of another node");
    if (header.shard != shard || header.number != number) {
      return Corruption(path, ": is segment ", header.number.value(), " of shard ",
                        header.shard.value());
    }
    if (!segments.empty()) {
      const std::string fault = FaultOfSuccessor(segments.back().header, header);
      if (!fault.empty()) return Corruption(path, ": ", fault);
    }
    segments.push_back(*std::move(info));
  }
  return segments;
}

absl::StatusOr<std::optional<DurableMark>> ReadDurableMark(FileSystem& files,
                                                           const std::string& directory,
                                                           ShardId shard) {
  const std::string path = directory + "/" + std::string(kDurableName);
  auto file = files.Open(path, OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  if (!file.ok()) return InWal(file.status());
  std::string bytes(kDurableMarkBytes, '\0');
  absl::Status status = (*file)->ReadAt(0, bytes);
  if (absl::IsOutOfRange(status)) return std::nullopt;
  if (!status.ok()) return InWal(status);
  std::optional<DurableMark> mark = DecodeDurableMark(bytes);
  if (mark && mark->shard != shard) mark.reset();
  return mark;
}

}  // namespace bettong::wal
