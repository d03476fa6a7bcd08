#include "wal/committer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/simulation.h"

namespace bettong::wal {
namespace {

// Of the next segment, between two commits: a few ms of a slow disk.
constexpr uint64_t kPrepareBytes = 1u << 20;

}  // namespace

Committer::Committer(std::vector<Writer> writers, Rounds& rounds) : rounds_(rounds) {
  size_t partitions = 0;
  for (const Writer& writer : writers) {
    for (PartitionId partition : writer.partitions) {
      partitions = std::max<size_t>(partitions, partition.value() + 1u);
    }
  }
  log_of_partition_.resize(partitions);
  begun_in_.resize(partitions);
  needed_.resize(partitions);
  for (size_t i = 0; i < writers.size(); ++i) {
    for (PartitionId partition : writers[i].partitions) log_of_partition_[partition.value()] = i;
    logs_.emplace_back().writer = std::move(writers[i]);
  }
  NoteStats();
}

absl::Status Committer::Commit(const LogRecord& record) {
  const auto begin = std::chrono::steady_clock::now();
  if (!std::exchange(retrying_, true)) {
    for (Log& log : logs_) log.sections.clear(), log.done = false;
    for (const Section& section : sorter_.Sort(record)) {
      logs_[log_of_partition_[section.partition.value()]].sections.push_back(section);
    }
  }
  for (Log& log : logs_) {
    if (log.done || log.sections.empty()) continue;
    absl::Status status = CommitTo(log);
    if (BETTONG_PLANTED(retry_after_failed_sync) && !status.ok()) status = absl::OkStatus();
    if (!status.ok()) {
      full_ = absl::IsResourceExhausted(status);
      return status;
    }
    log.done = true;
  }
  retrying_ = false;
  // Room for this record is not yet room for the next segment.
  full_ = full_ && std::any_of(logs_.begin(), logs_.end(), [](const Log& log) {
            return !log.writer.segments->next_segment_ready();
          });
  needs_mark_ = true;
  const auto took_ns = static_cast<uint64_t>((std::chrono::steady_clock::now() - begin).count());
  stats_.commit_ns.Record(took_ns);
  NoteStats();
  return absl::OkStatus();
}

absl::Status Committer::CommitTo(Log& log) {
  const absl::StatusOr<Lsn> lsn = log.writer.segments->Commit(log.sections);
  if (!lsn.ok()) return lsn.status();
  NoteRounds(log);
  return absl::OkStatus();
}

void Committer::NoteRounds(const Log& log) {
  for (const Section& section : log.sections) {
    const size_t partition = section.partition.value();
    if (section.kind == SectionKind::kCheckpointBegin) {
      begun_in_[partition] = log.writer.segments->current_segment();
      if (BETTONG_PLANTED(trimmed_before_the_round_ends)) {
        needed_[partition] = begun_in_[partition];
        rounds_.Complete(section.partition);
        trim_ = true;
      }
    } else if (section.kind == SectionKind::kCheckpointEnd) {
      needed_[partition] = begun_in_[partition];
      rounds_.Complete(section.partition);
      trim_ = true;
    }
  }
}

absl::StatusOr<bool> Committer::Tidy() {
  if (trim_ && rounds_.all_whole()) {
    trim_ = false;
    for (Log& log : logs_) {
      if (absl::Status status = Trim(log); !status.ok()) return status;
    }
    NoteStats();
  }
  bool more = false;
  for (Log& log : logs_) {
    if (log.writer.segments->next_segment_ready()) continue;
    const absl::Status status = log.writer.segments->PrepareNextSegment(kPrepareBytes);
    if (absl::IsResourceExhausted(status)) {
      full_ = true;
      return false;
    }
    if (!status.ok()) return status;
    more |= !log.writer.segments->next_segment_ready();
  }
  full_ = false;
  return more;
}

absl::Status Committer::Trim(Log& log) {
  SegmentNumber keep = log.writer.segments->current_segment();
  for (PartitionId partition : log.writer.partitions) {
    keep = std::min(keep, needed_[partition.value()]);
  }
  if (keep > log.writer.segments->oldest_segment()) BETTONG_SOMETIMES(checkpoint_trimmed);
  return log.writer.segments->RemoveBelow(keep);
}

absl::Status Committer::Mark() {
  needs_mark_ = false;
  for (Log& log : logs_) {
    const absl::Status status = log.writer.segments->Commit({}).status();
    // Of a full disk a marker is of no use.
    if (!status.ok() && !absl::IsResourceExhausted(status)) return status;
  }
  return absl::OkStatus();
}

void Committer::NoteStats() {
  uint64_t bytes = 0, segments = 0, records = 0;
  for (const Log& log : logs_) {
    const SegmentWriter& writer = *log.writer.segments;
    bytes += writer.bytes_written();
    records += writer.durable_lsn().value();
    segments += writer.current_segment().value() - writer.oldest_segment().value() + 1;
  }
  stats_.bytes.store(bytes, std::memory_order_relaxed);
  stats_.records.store(records, std::memory_order_relaxed);
  stats_.segments.store(segments, std::memory_order_relaxed);
}

}  // namespace bettong::wal
