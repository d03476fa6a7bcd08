#include "wal/salvage.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "wal/errors.h"
#include "wal/segment_reader.h"

namespace bettong::wal {
namespace {

// Bytes of which the checksum is computed in vain, for headers that are no headers: so many times
// the file's.
constexpr uint64_t kSearchFactor = 16;

std::string TimeText(TimeMs now_ms) {
  return absl::FormatTime(absl::RFC3339_full, absl::FromUnixMillis(now_ms), absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Salvage>> Salvage::Read(FileSystem& files,
                                                       const DataDirectory& directory) {
  std::unique_ptr<Salvage> salvage(new Salvage(files, directory.node().partitions));
  const absl::StatusOr<std::vector<ShardId>> shards = directory.Shards();
  if (!shards.ok()) return shards.status();
  for (ShardId shard : *shards) {
    if (absl::Status status = salvage->ReadLog(directory, shard); !status.ok()) return status;
  }
  for (size_t i = 0; i < salvage->partitions_.size(); ++i) {
    salvage->Choose(PartitionId(static_cast<uint16_t>(i)));
  }
  return salvage;
}

absl::Status Salvage::ReadLog(const DataDirectory& directory, ShardId shard) {
  const std::string path = directory.ShardPath(shard);
  const auto names = files_.List(path);
  if (!names.ok()) return InWal(names.status());
  std::vector<SegmentNumber> numbers;
  for (const std::string& name : *names) {
    if (const auto number = ParseSegmentFileName(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  std::map<Epoch, Seen> seen;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && numbers[i].value() != numbers[i - 1].value() + 1) {
      notes_.push_back(absl::StrCat(path, ": segments ", numbers[i - 1].value() + 1, " to ",
                                    numbers[i].value() - 1, " are missing"));
    }
    segments_.push_back({path + "/" + SegmentFileName(numbers[i]), shard, numbers[i]});
    absl::Status status = ReadFile(segments_.back(), directory.node().node, seen);
    if (!status.ok()) return status;
  }
  const absl::StatusOr<std::optional<DurableMark>> mark = ReadDurableMark(files_, path, shard);
  if (!mark.ok()) return mark.status();
  if (mark->has_value()) {
    Seen& last = seen[(*mark)->epoch];
    last.durable = std::max(last.durable, (*mark)->lsn);
  }
  if (seen.empty()) return absl::OkStatus();
  const auto& [epoch, last] = *seen.rbegin();
  if (last.durable > last.last) {
    notes_.push_back(absl::StrCat(last.where.empty() ? path : last.where, ": records ",
                                  last.last.value() + 1, " to ", last.durable.value(), " of epoch ",
                                  epoch.value(), " are lost"));
  }
  return absl::OkStatus();
}

absl::Status Salvage::ReadFile(const SegmentFile& segment, const NodeUuid& node,
                               std::map<Epoch, Seen>& seen) {
  const auto file = files_.Open(segment.path, OpenMode::kRead);
  if (!file.ok()) return InWal(file.status());
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return InWal(size.status());
  std::string bytes(*size, '\0');
  if (absl::Status status = (*file)->ReadAt(0, bytes); !status.ok()) return InWal(status);
  bytes_ += *size;
  const SegmentHeaderResult result = DecodeSegmentHeader(bytes);
  if (!result.header) {
    // What another version has written is not damaged.
    if (result.error.starts_with("format version")) {
      return absl::UnimplementedError(absl::StrCat("wal: ", segment.path, ": ", result.error));
    }
    notes_.push_back(absl::StrCat(segment.path, ": ", result.error));
  } else if (result.header->node != node) {
    notes_.push_back(absl::StrCat(segment.path, ": is of another node, and left out"));
    return absl::OkStatus();
  } else if (result.header->file_bytes > *size) {
    notes_.push_back(absl::StrCat(segment.path, ": has ", *size, " bytes, its header says ",
                                  result.header->file_bytes));
  }
  uint64_t budget = bytes.size() * kSearchFactor;
  for (uint64_t at = kSegmentHeaderBytes; at + kRecordHeaderBytes <= bytes.size();) {
    const std::string_view rest = std::string_view(bytes).substr(at);
    const std::optional<RecordHeader> header =
        DecodeRecordHeader(rest.substr(0, kRecordHeaderBytes));
    const uint64_t record_bytes = header ? kRecordHeaderBytes + header->section_bytes : 0;
    if (!header || record_bytes > rest.size() || record_bytes > budget ||
        !RecordCrcMatches(*header, rest.substr(0, kRecordHeaderBytes),
                          rest.substr(kRecordHeaderBytes, header->section_bytes))) {
      if (header && record_bytes <= std::min<uint64_t>(rest.size(), budget)) budget -= record_bytes;
      at += kRecordAlignment;
      continue;
    }
    Seen& epoch = seen[header->epoch];
    // What is behind the last record is what an earlier use of the file has left there.
    const bool older =
        header->lsn <= epoch.last || (result.header && (header->epoch != result.header->epoch ||
                                                        header->lsn < result.header->first_lsn));
    if (!older) {
      const uint64_t lost_from = epoch.last.value() + 1;
      if (header->lsn.value() > lost_from && !epoch.where.empty()) {
        notes_.push_back(absl::StrCat(epoch.where, ": records ", lost_from, " to ",
                                      header->lsn.value() - 1, " of epoch ", header->epoch.value(),
                                      " are lost; the next one that is whole is at ", at, " in ",
                                      SegmentFileName(segment.number)));
      }
      epoch.last = header->lsn;
      epoch.durable = std::max(epoch.durable, header->durable_lsn);
      epoch.where =
          absl::StrCat(segment.path, " at ", at + PaddedRecordBytes(header->section_bytes));
      last_epoch_ = std::max(last_epoch_, header->epoch);
      TakeRecord(*header, static_cast<uint32_t>(segments_.size() - 1), at,
                 rest.substr(kRecordHeaderBytes, header->section_bytes));
    }
    at += PaddedRecordBytes(header->section_bytes);
  }
  if (result.header) last_epoch_ = std::max(last_epoch_, result.header->epoch);
  return absl::OkStatus();
}

void Salvage::TakeRecord(const RecordHeader& header, uint32_t file, uint64_t offset,
                         std::string_view sections) {
  std::string_view rest = sections;
  bool opens = false;
  while (!rest.empty()) {
    Section section;
    const uint64_t begin = sections.size() - rest.size();
    if (!DecodeSection(rest, section) || section.partition.value() >= partitions_.size()) return;
    Partition& partition = partitions_[section.partition.value()];
    Place place{.epoch = header.epoch,
                .sequence = section.sequence,
                .file = file,
                .bytes = static_cast<uint32_t>(sections.size() - rest.size() - begin),
                .record = offset,
                .offset = offset + kRecordHeaderBytes + begin,
                .now_ms = section.now_ms,
                .kind = section.kind};
    now_ms_ = std::max(now_ms_, section.now_ms);
    OpenEntry open;
    if (section.kind == SectionKind::kOpen) {
      opens = true;
      if (!DecodeOpen(section.entries, open)) continue;
      partition.opens[header.epoch] = open;
    }
    if (section.kind == SectionKind::kCheckpointEnd &&
        !DecodeCheckpointEnd(section.entries, place.end)) {
      continue;
    }
    partition.places.push_back(place);
  }
  if (!opens) opened_ = std::max(opened_, header.epoch);
}

// What of the partition is kept.
void Salvage::Choose(PartitionId id) {
  Partition& partition = partitions_[id.value()];
  std::vector<Place>& places = partition.places;
  const auto order = [](const Place& place) { return std::tie(place.epoch, place.sequence); };
  std::sort(places.begin(), places.end(),
            [&](const Place& a, const Place& b) { return order(a) < order(b); });
  const auto same = [&](const Place& a, const Place& b) { return order(a) == order(b); };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());

  // Back from the newest epoch: which epochs count, and up to where.
  std::map<Epoch, uint64_t> cuts;
  Epoch epoch = places.empty() ? Epoch(0) : places.back().epoch;
  uint64_t cut = UINT64_MAX;
  while (epoch != Epoch(0)) {
    cuts[epoch] = cut;
    if (const auto open = partition.opens.find(epoch); open != partition.opens.end()) {
      cut = open->second.cut_sequence;
      epoch = open->second.continues;
      continue;
    }
    cut = UINT64_MAX;
    const auto at = std::find_if(places.rbegin(), places.rend(),
                                 [&](const Place& place) { return place.epoch < epoch; });
    epoch = at == places.rend() ? Epoch(0) : at->epoch;
  }
  std::erase_if(places, [&](const Place& place) {
    const auto counts = cuts.find(place.epoch);
    return counts == cuts.end() || place.sequence > counts->second;
  });

  // Runs without a gap; the last one that has all it builds on is kept.
  size_t run = 0;      // where the run at hand begins
  bool whole = false;  // it has what it builds on
  size_t whole_from = 0;
  std::pair<Epoch, uint64_t> begun;
  bool any = false;
  for (size_t i = 0; i < places.size(); ++i) {
    const Place& place = places[i];
    bool follows = i > run && place.epoch == places[i - 1].epoch &&
                   place.sequence == places[i - 1].sequence + 1;
    if (place.kind == SectionKind::kOpen && i > 0) {
      const OpenEntry& open = partition.opens[place.epoch];
      follows =
          open.continues == places[i - 1].epoch && open.cut_sequence == places[i - 1].sequence;
    }
    if (!follows) {
      run = i;
      whole =
          place.kind == SectionKind::kOpen && partition.opens[place.epoch].continues == Epoch(0);
      whole_from = i;
      begun = {};
    }
    if (place.kind == SectionKind::kCheckpointBegin) begun = {place.epoch, place.sequence};
    if (place.kind == SectionKind::kCheckpointEnd && !whole &&
        begun == std::pair(place.end.begin_epoch, place.end.begin_sequence)) {
      whole = true;
      whole_from = i + 1;
    }
    if (!whole) continue;
    any = true;
    partition.begin = run;
    partition.end = i + 1;
    partition.whole_from = whole_from;
  }
  // A log that is missing, or whose end is: all were opened in a later epoch than is seen here.
  const bool ends_early = (places.empty() ? Epoch(0) : places.back().epoch) < opened_;
  const size_t dropped = places.size() - partition.end;
  partition.cut = !any || dropped > 0 || ends_early;
  if (!partition.cut) return;
  if (!any) {
    notes_.push_back(absl::StrCat("partition ", id.value(), ": nothing of it could be kept"));
  } else {
    notes_.push_back(absl::StrCat("partition ", id.value(), ": goes on as it was at ",
                                  TimeText(places[partition.end - 1].now_ms), "; ", dropped,
                                  " later sections are dropped",
                                  ends_early ? ", and others are missing" : ""));
  }
}

absl::Status Salvage::Replay(const std::function<absl::Status(const History::Visit&)>& visit) {
  std::unique_ptr<File> file;
  uint32_t opened = UINT32_MAX;
  std::string bytes;
  for (const Partition& partition : partitions_) {
    for (size_t i = partition.begin; i < partition.end; ++i) {
      const Place& place = partition.places[i];
      const SegmentFile& segment = segments_[place.file];
      if (opened != place.file) {
        auto next = files_.Open(segment.path, OpenMode::kRead);
        if (!next.ok()) return InWal(next.status());
        file = *std::move(next);
        opened = place.file;
      }
      bytes.resize(place.bytes);
      if (absl::Status status = file->ReadAt(place.offset, bytes); !status.ok()) {
        return InWal(status);
      }
      std::string_view rest = bytes;
      Section section;
      if (!DecodeSection(rest, section)) {
        return Corruption(segment.path, " has changed since it was read. Start again");
      }
      absl::Status status = visit({.section = section,
                                   .epoch = place.epoch,
                                   .segment = segment.number,
                                   .shard = segment.shard,
                                   .record_offset = place.record,
                                   .complete_round = i >= partition.whole_from});
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace bettong::wal
