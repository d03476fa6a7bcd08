#include "wal/history.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/simulation.h"
#include "wal/epoch_chains.h"
#include "wal/errors.h"
#include "wal/log_runs.h"
#include "wal/segment_reader.h"

namespace bettong::wal {
namespace {

// kDataLoss, with what to do.
template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return Corruption(parts..., ". Restore the data directory from a copy, or go on without what is ",
                    "lost: --accept-loss");
}

// The same of what ListRuns has found. What another version has written is not damaged.
absl::Status RefuseRuns(const absl::Status& status) {
  const absl::string_view text = status.message();
  if (!absl::IsDataLoss(status) || absl::StrContains(text, "format version")) return status;
  return Refuse(text.substr(sizeof("wal: ") - 1));
}

// What is known of a partition as its sections go by.
struct PartitionState {
  PartitionChain chain;
  size_t link = 0;  // in chain.links: the one of the epoch being read, or of the next that counts
  Epoch epoch;      // of the last section that counted; 0: none
  uint64_t last_sequence = 0;
  TimeMs now_ms = 0;
  Epoch first_epoch;  // of the first section that counted
  uint64_t first_sequence = 0;
  Epoch begin_epoch;  // of the last checkpoint begin
  uint64_t begin_sequence = 0;
  bool complete_round = false;

  bool InChain(Epoch reading) const {
    return link < chain.links.size() && chain.links[link].epoch == reading;
  }
};

}  // namespace

struct History::Impl {
  Impl(FileSystem& given_files, const DataDirectory& given_directory)
      : files(given_files), directory(given_directory), chains(given_directory.node().partitions) {}

  absl::Status ReadOpens(const LogRun& run);
  absl::Status FindRests();
  absl::Status FindRests(const LogRun& run, std::set<PartitionId>& wanted);
  absl::Status DecodeSections(const LogRun& run, const Record& record,
                              const std::function<absl::Status(const Section&)>& take) const;

  absl::Status ReplayRun(const LogRun& run);
  absl::Status TakeSection(const LogRun& run, const Record& record, const Section& section);
  absl::Status TakeCheckpoint(PartitionState& state, const Section& section, Epoch epoch);
  absl::Status EndRun(const LogRun& run, SegmentReader& reader);
  void BeginEpoch(Epoch epoch);
  absl::Status EndEpoch(Epoch epoch);
  absl::Status EndReplay();
  absl::Status SettleRun(const LogRun& run, const std::vector<RecordPlace>& places);

  FileSystem& files;
  const DataDirectory& directory;
  LogRuns logs;
  EpochChains chains;

  // Of a Replay.
  const std::function<absl::Status(const Visit&)>* visit = nullptr;
  const std::function<void(const HistoryProgress&)>* progress = nullptr;
  HistoryProgress done;
  std::vector<PartitionState> states;
  std::vector<char> wanted;  // by partition
  Epoch opened;              // the newest in which all partitions are known to have been opened
  HistoryEnd end;
  std::vector<std::pair<const LogRun*, std::vector<RecordPlace>>> unproven;
  bool replayed = false;
};

LogTail HistoryEnd::LogOf(ShardId shard) const {
  for (const LogTail& log : logs) {
    if (log.shard == shard) return log;
  }
  return {.shard = shard};
}

// -- Opening
// ----------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<History>> History::Open(FileSystem& files,
                                                       const DataDirectory& directory) {
  auto impl = std::make_unique<Impl>(files, directory);
  absl::StatusOr<LogRuns> logs = ListRuns(files, directory);
  if (!logs.ok()) return RefuseRuns(logs.status());
  impl->logs = *std::move(logs);
  for (const LogRun& run : impl->logs.runs) {
    if (!run.whole()) continue;
    if (absl::Status status = impl->ReadOpens(run); !status.ok()) return status;
  }
  if (absl::Status status = impl->FindRests(); !status.ok()) return status;
  return std::unique_ptr<History>(new History(std::move(impl)));
}

absl::Status History::Impl::DecodeSections(
    const LogRun& run, const Record& record,
    const std::function<absl::Status(const Section&)>& take) const {
  std::string_view rest = record.sections;
  while (!rest.empty()) {
    Section section;
    if (!DecodeSection(rest, section) || section.partition.value() >= directory.node().partitions) {
      return Refuse(directory.ShardPath(run.shard), "/", SegmentFileName(record.segment), " at ",
                    record.offset, ": record ", record.header.lsn.value(),
                    " is whole, but what is in it is not a section");
    }
    if (absl::Status status = take(section); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Open sections stand before all others of a run.
absl::Status History::Impl::ReadOpens(const LogRun& run) {
  SegmentReader reader(files, run.segments, run.required_end);
  bool over = false;
  while (!over) {
    absl::StatusOr<std::optional<Record>> record = reader.Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) break;
    const auto take = [&](const Section& section) -> absl::Status {
      over |= section.kind != SectionKind::kOpen;
      if (over) return absl::OkStatus();
      OpenEntry entry;
      if (!DecodeOpen(section.entries, entry)) {
        return Refuse("partition ", section.partition.value(), ": its open section of epoch ",
                      run.epoch.value(), " is malformed");
      }
      return chains.AddOpen(section.partition, run.epoch, run.shard, entry);
    };
    if (absl::Status status = DecodeSections(run, **record, take); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// A partition may go on in an epoch whose open section has been removed. It is there if a run
// without its beginning has sections of it.
absl::Status History::Impl::FindRests() {
  std::set<Epoch> epochs;  // of runs without a beginning
  for (const LogRun& run : logs.runs) {
    if (!run.whole()) epochs.insert(run.epoch);
  }
  for (auto epoch = epochs.rbegin(); epoch != epochs.rend(); ++epoch) {
    const bool oldest = *epoch == *epochs.begin();
    std::set<PartitionId> searched;
    for (uint32_t i = 0; i < directory.node().partitions; ++i) {
      const PartitionId partition(static_cast<uint16_t>(i));
      const Epoch newest = chains.Newest(partition);
      if (newest >= *epoch) continue;
      if (newest == Epoch(0) && oldest) {
        chains.AddRest(partition, *epoch);  // nowhere else: no need to search
      } else {
        searched.insert(partition);
      }
    }
    for (const LogRun& run : logs.runs) {
      if (run.epoch != *epoch || run.whole()) continue;
      if (absl::Status status = FindRests(run, searched); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status History::Impl::FindRests(const LogRun& run, std::set<PartitionId>& searched) {
  SegmentReader reader(files, run.segments, run.required_end);
  while (!searched.empty()) {
    absl::StatusOr<std::optional<Record>> record = reader.Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) break;
    const auto take = [&](const Section& section) {
      if (searched.erase(section.partition) > 0) chains.AddRest(section.partition, run.epoch);
      return absl::OkStatus();
    };
    if (absl::Status status = DecodeSections(run, **record, take); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// -- Replaying
// --------------------------------------------------------------------------------------

absl::StatusOr<HistoryEnd> History::Replay(
    const std::function<bool(PartitionId)>& wants,
    const std::function<absl::Status(const Visit&)>& visit,
    const std::function<void(const HistoryProgress&)>& progress) {
  Impl& impl = *impl_;
  impl.visit = &visit;
  impl.progress = &progress;
  impl.done = {};
  impl.end = {};
  impl.unproven.clear();
  impl.states.clear();
  impl.wanted.clear();
  impl.opened = Epoch(0);
  for (uint32_t i = 0; i < impl.directory.node().partitions; ++i) {
    const PartitionId partition(static_cast<uint16_t>(i));
    PartitionState& state = impl.states.emplace_back();
    state.chain = impl.chains.Chain(partition);
    impl.wanted.push_back(wants(partition) ? 1 : 0);
  }
  for (ShardId shard : impl.logs.shards) impl.end.logs.push_back({.shard = shard});
  for (const LogRun& run : impl.logs.runs) impl.done.bytes_total += run.bytes();

  const std::vector<LogRun>& runs = impl.logs.runs;
  for (size_t i = 0; i < runs.size(); ++i) {
    const Epoch epoch = runs[i].epoch;
    if (i == 0 || runs[i - 1].epoch != epoch) impl.BeginEpoch(epoch);
    if (absl::Status status = impl.ReplayRun(runs[i]); !status.ok()) return status;
    if (i + 1 == runs.size() || runs[i + 1].epoch != epoch) {
      if (absl::Status status = impl.EndEpoch(epoch); !status.ok()) return status;
      impl.end.last_epoch = epoch;
    }
  }
  if (absl::Status status = impl.EndReplay(); !status.ok()) return status;
  impl.replayed = true;
  return impl.end;
}

void History::Impl::BeginEpoch(Epoch epoch) {
  for (PartitionState& state : states) {
    const std::vector<ChainLink>& links = state.chain.links;
    while (state.link < links.size() && links[state.link].epoch < epoch) ++state.link;
  }
}

absl::Status History::Impl::ReplayRun(const LogRun& run) {
  if (!run.whole()) opened = run.epoch;
  SegmentReader reader(files, run.segments, run.required_end);
  auto segment = run.segments.begin();
  const auto segment_is_done = [&] {
    done.bytes_done += segment++->header.file_bytes;
    if (*progress) (*progress)(done);
  };
  while (true) {
    absl::StatusOr<std::optional<Record>> record = reader.Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) break;
    while (segment->header.number < (*record)->segment) segment_is_done();
    bool opens = false;
    const auto take = [&](const Section& section) {
      opens |= section.kind == SectionKind::kOpen;
      return TakeSection(run, **record, section);
    };
    if (absl::Status status = DecodeSections(run, **record, take); !status.ok()) return status;
    if (!opens) opened = run.epoch;
  }
  while (segment != run.segments.end()) segment_is_done();
  return EndRun(run, reader);
}

absl::Status History::Impl::TakeSection(const LogRun& run, const Record& record,
                                        const Section& section) {
  PartitionState& state = states[section.partition.value()];
  if (!state.InChain(run.epoch)) return absl::OkStatus();
  const ChainLink& link = state.chain.links[state.link];
  if (section.sequence > link.cut_sequence) return absl::OkStatus();

  const bool first = state.epoch != run.epoch;
  const auto wrong = [&](const std::string& what) {
    return Refuse(directory.ShardPath(run.shard), "/", SegmentFileName(record.segment), " at ",
                  record.offset, ": partition ", section.partition.value(), ", section ",
                  section.sequence, " of epoch ", run.epoch.value(), " ", what);
  };
  if (link.shard ? *link.shard != run.shard : run.whole()) {
    return wrong("stands in a log in which the partition was not opened");
  }
  if (first ? link.shard && section.sequence != 1 : section.sequence != state.last_sequence + 1) {
    return wrong(absl::StrCat("where ", first ? 1 : state.last_sequence + 1, " should be"));
  }
  if ((section.kind == SectionKind::kOpen) != (section.sequence == 1)) {
    return wrong("is of the wrong kind");
  }

  state.epoch = run.epoch;
  state.last_sequence = section.sequence;
  state.now_ms = std::max(state.now_ms, section.now_ms);
  if (state.first_epoch == Epoch(0)) {
    state.first_epoch = run.epoch;
    state.first_sequence = section.sequence;
    state.complete_round = state.chain.from_beginning;
  }
  if (wanted[section.partition.value()] != 0) {
    absl::Status status = (*visit)({.section = section,
                                    .epoch = run.epoch,
                                    .segment = record.segment,
                                    .shard = run.shard,
                                    .record_offset = record.offset,
                                    .complete_round = state.complete_round});
    if (!status.ok()) return status;
  }
  return TakeCheckpoint(state, section, run.epoch);
}

absl::Status History::Impl::TakeCheckpoint(PartitionState& state, const Section& section,
                                           Epoch epoch) {
  if (section.kind == SectionKind::kCheckpointBegin) {
    state.begin_epoch = epoch;
    state.begin_sequence = section.sequence;
  }
  if (section.kind != SectionKind::kCheckpointEnd) return absl::OkStatus();
  CheckpointEndEntry entry;
  const bool whole = DecodeCheckpointEnd(section.entries, entry);
  if (whole && entry.begin_epoch == state.begin_epoch &&
      entry.begin_sequence == state.begin_sequence) {
    state.complete_round = true;
    return absl::OkStatus();
  }
  // The round of an end whose begin has been removed does not count.
  const bool before_first = std::tie(entry.begin_epoch, entry.begin_sequence) <
                            std::tie(state.first_epoch, state.first_sequence);
  if (whole && before_first) return absl::OkStatus();
  return Refuse("partition ", section.partition.value(), ", section ", section.sequence,
                " of epoch ", epoch.value(), " ends a checkpoint round that has no begin");
}

absl::Status History::Impl::EndRun(const LogRun& run, SegmentReader& reader) {
  absl::StatusOr<LogEnd> log_end = reader.End();
  if (!log_end.ok()) return log_end.status();
  if (log_end->kind == LogEnd::Kind::kCorrupt) return Refuse(log_end->message);
  if (run.required_end) return absl::OkStatus();
  if (log_end->kind == LogEnd::Kind::kTorn) {
    BETTONG_SOMETIMES(torn_tail_cut);
    end.notes.push_back(absl::StrCat("cut a torn tail: ", log_end->message));
  }
  for (LogTail& log : end.logs) {
    if (log.shard != run.shard) continue;
    log.next_segment = SegmentNumber(run.segments.back().header.number.value() + 1);
    log.last_lsn = log_end->last;
  }
  unproven.emplace_back(&run, std::move(log_end->unproven));
  return absl::OkStatus();
}

absl::Status History::Impl::EndEpoch(Epoch epoch) {
  for (size_t i = 0; i < states.size(); ++i) {
    const PartitionState& state = states[i];
    if (!state.InChain(epoch)) continue;
    const ChainLink& link = state.chain.links[state.link];
    const bool seen = state.epoch == epoch;
    // Nothing of it seen, and its open section removed: then all of it has been.
    if (link.cut_sequence == UINT64_MAX || (!seen && !link.shard)) continue;
    const uint64_t last = seen ? state.last_sequence : 0;
    if (last < link.cut_sequence) {
      return Refuse("partition ", i, ": its sections of epoch ", epoch.value(), " end with ", last,
                    ", a later epoch goes on from ", link.cut_sequence);
    }
  }
  return absl::OkStatus();
}

absl::Status History::Impl::EndReplay() {
  for (size_t i = 0; i < states.size(); ++i) {
    const PartitionState& state = states[i];
    for (const ChainLink& link : state.chain.links) {
      // An epoch that no segment is of any more: EndEpoch was never asked.
      if (link.shard && state.epoch < link.epoch) {
        return Refuse("partition ", i, ": epoch ", link.epoch.value(), " is missing");
      }
    }
    if (chains.Newest(PartitionId(static_cast<uint16_t>(i))) < opened) {
      return Refuse("partition ", i, ": its open section of epoch ", opened.value(),
                    " is missing, and with it, it seems, a whole log");
    }
    if (!state.chain.from_beginning && !state.complete_round) {
      return Refuse("partition ", i, ": the beginning of its history is missing, and there is no ",
                    "complete checkpoint round");
    }
    end.partitions.push_back({state.epoch, state.last_sequence, state.now_ms});
  }
  return absl::OkStatus();
}

// -- Settling
// ---------------------------------------------------------------------------------------

absl::Status History::Settle() {
  BETTONG_CHECK(impl_->replayed);
  if (BETTONG_PLANTED(settle_skipped)) return absl::OkStatus();
  for (const auto& [run, places] : impl_->unproven) {
    if (absl::Status status = impl_->SettleRun(*run, places); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status History::Impl::SettleRun(const LogRun& run, const std::vector<RecordPlace>& places) {
  const std::string path = directory.ShardPath(run.shard);
  for (const RecordPlace& place : places) {
    const std::string segment = path + "/" + SegmentFileName(place.segment);
    auto file = files.Open(segment, OpenMode::kReadWrite);
    if (!file.ok()) return InWal(file.status());
    std::string bytes(kRecordHeaderBytes + place.header.section_bytes, '\0');
    absl::Status status = (*file)->ReadAt(place.offset, bytes);
    if (!status.ok()) return InWal(status);
    const std::optional<RecordHeader> header = DecodeRecordHeader(bytes);
    if (!header || header->crc != place.header.crc ||
        !RecordCrcMatches(*header, bytes, std::string_view(bytes).substr(kRecordHeaderBytes))) {
      return Corruption(segment, " at ", place.offset, ": record ", place.header.lsn.value(),
                        " has changed since it was read. Start again");
    }
    const std::string_view parts[] = {bytes};
    status = (*file)->WriteAt(place.offset, parts);
    if (status.ok()) status = (*file)->Sync();
    if (!status.ok()) return InWal(status);
  }
  return InWal(files.SyncDirectory(path));
}

History::History(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

History::~History() = default;

}  // namespace bettong::wal
