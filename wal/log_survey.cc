#include "wal/log_survey.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "wal/errors.h"

namespace bettong::wal {
namespace {

// Of a file that has gone since it was listed: nothing, without an error.
absl::StatusOr<std::optional<SurveyedSegment>> LookAt(FileSystem& files, std::string path,
                                                      SegmentNumber number) {
  SurveyedSegment segment{.path = std::move(path), .number = number};
  const auto file = files.Open(segment.path, OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  if (!file.ok()) return InWal(file.status());
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return InWal(size.status());
  segment.size = *size;
  std::string bytes(std::min<uint64_t>(*size, kSegmentHeaderBytes), '\0');
  if (absl::Status status = (*file)->ReadAt(0, bytes); !status.ok()) return InWal(status);
  SegmentHeaderResult result = DecodeSegmentHeader(bytes);
  segment.fault = std::move(result.error);
  segment.header = result.header;
  if (!segment.header) return segment;
  SegmentHeader& header = *segment.header;
  if (header.number != number) {
    segment.fault = absl::StrCat("is segment ", header.number.value());
  } else if (header.file_bytes > *size) {
    segment.fault = absl::StrCat("has ", *size, " bytes, its header says ", header.file_bytes);
  }
  header.file_bytes = std::min(header.file_bytes, *size);
  return segment;
}

absl::Status SurveyLog(FileSystem& files, const std::string& path, SurveyedLog& log) {
  const auto names = files.List(path);
  if (!names.ok()) return InWal(names.status());
  std::vector<SegmentNumber> numbers;
  for (const std::string& name : *names) {
    if (const auto number = ParseSegmentFileName(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  for (SegmentNumber number : numbers) {
    auto segment = LookAt(files, absl::StrCat(path, "/", SegmentFileName(number)), number);
    if (!segment.ok()) return segment.status();
    if (segment->has_value()) log.segments.push_back(**std::move(segment));
  }
  // Backwards: an epoch may have several segments, and what follows it says how far it counts.
  std::optional<SegmentHeader> next;
  for (size_t i = log.segments.size(); i-- > 0;) {
    SurveyedSegment& segment = log.segments[i];
    if (!segment.header) continue;
    if (next && next->epoch != segment.header->epoch) segment.last_that_counts = next->end_before;
    if (next && next->epoch == segment.header->epoch) {
      segment.last_that_counts = log.segments[i + 1].last_that_counts;
    }
    next = segment.header;
  }
  auto durable = ReadDurableMark(files, path, log.shard);
  if (!durable.ok()) return durable.status();
  log.durable = *durable;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<SurveyedLog>> SurveyLogs(FileSystem& files,
                                                    const std::string& directory) {
  const auto names = files.List(directory);
  if (!names.ok()) return InWal(names.status());
  std::vector<SurveyedLog> logs;
  for (const std::string& name : *names) {
    const auto shard = ParseShardDirectoryName(name);
    if (!shard) continue;
    SurveyedLog& log = logs.emplace_back();
    log.shard = *shard;
    if (absl::Status status = SurveyLog(files, absl::StrCat(directory, "/", name), log);
        !status.ok()) {
      return status;
    }
  }
  std::sort(logs.begin(), logs.end(),
            [](const SurveyedLog& a, const SurveyedLog& b) { return a.shard < b.shard; });
  return logs;
}

absl::StatusOr<SegmentEnd> ReadSegment(FileSystem& files, const SurveyedLog& log, size_t index,
                                       const std::function<void(const Record&)>& visit) {
  const SurveyedSegment& segment = log.segments[index];
  SegmentEnd end{.last = Lsn(segment.header->first_lsn.value() - 1), .offset = kSegmentHeaderBytes};
  if (segment.header->file_bytes < kSegmentHeaderBytes) return end;
  SegmentReader reader(files, {{segment.path, *segment.header}}, std::nullopt);
  while (true) {
    const absl::StatusOr<std::optional<Record>> record = reader.Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) break;
    visit(**record);
    end.last = (*record)->header.lsn;
    end.offset = (*record)->offset + PaddedRecordBytes((*record)->header.section_bytes);
  }
  if (index + 1 == log.segments.size()) {
    absl::StatusOr<LogEnd> judged = reader.End();
    if (!judged.ok()) return judged.status();
    if (judged->kind == LogEnd::Kind::kClean) return end;
    // What was not whole may just have been under way.
    SegmentReader again(files, {{segment.path, *segment.header}}, std::nullopt);
    Lsn last = end.last;
    for (auto record = again.Next(); record.ok() && record->has_value(); record = again.Next()) {
      last = (*record)->header.lsn;
    }
    if (last == end.last) end.fault = judged->message;
    return end;
  }
  const std::optional<SegmentHeader>& next = log.segments[index + 1].header;
  if (!next) return end;
  const bool same = next->epoch == segment.header->epoch;
  const uint64_t wanted = same ? next->first_lsn.value() - 1 : next->end_before.value();
  if (end.last.value() < wanted) {
    end.fault = absl::StrCat(segment.path, " at ", end.offset, ": record ", end.last.value() + 1,
                             " of epoch ", segment.header->epoch.value(),
                             " is not whole; the next segment goes on from record ", wanted + 1);
  }
  return end;
}

}  // namespace bettong::wal
