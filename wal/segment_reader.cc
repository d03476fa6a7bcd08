#include "wal/segment_reader.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/simulation.h"
#include "wal/errors.h"

namespace bettong::wal {
namespace {

constexpr uint64_t kPieceBytes = 1 << 20;  // read at once: what a core's cache holds
// Whole records behind a bad one are looked for by trying every header that fits. Values that are
// full of such headers must not make that endless: this many times the segment's size is checked.
constexpr uint64_t kSearchFactor = 16;

}  // namespace

struct SegmentReader::Impl {
  Impl(FileSystem& given_files, std::vector<SegmentInfo> given_segments,
       std::optional<Lsn> given_end)
      : files(given_files), segments(std::move(given_segments)), required_end(given_end) {
    BETTONG_CHECK(!segments.empty());
    const SegmentHeader& header = segments.front().header;
    expected = header.first_lsn;
    previous_crc = header.previous_crc;
    end.last = Lsn(expected.value() - 1);
  }

  const SegmentInfo& segment() const { return segments[index]; }
  absl::StatusOr<std::optional<Record>> Next();
  absl::StatusOr<std::optional<Record>> TryRecord();
  bool Fits(const RecordHeader& header) const;
  bool Follows(const RecordHeader& header);
  absl::StatusOr<std::string_view> Window(uint64_t offset, uint64_t bytes);
  // A whole record behind the bad one that says the bad one was durable.
  absl::StatusOr<bool> FindWitness(RecordHeader& found, uint64_t& offset);
  absl::StatusOr<LogEnd> End();
  absl::Status Judge();
  void SetEnd(LogEnd::Kind kind, const std::string& what);
  void Proven(Lsn lsn);

  FileSystem& files;
  const std::vector<SegmentInfo> segments;
  const std::optional<Lsn> required_end;

  size_t index = 0;
  std::unique_ptr<File> file;  // of segment(); nullptr: not open yet
  uint64_t position = 0;       // of the next record
  Lsn expected;
  uint32_t previous_crc = 0;
  bool finished = false;  // Next has come to the end
  bool judged = false;
  bool begun = false;  // the bad bytes are the beginning of the expected record
  LogEnd end;

  std::unique_ptr<char[]> buffer;
  uint64_t buffer_capacity = 0;
  uint64_t buffer_offset = 0, buffer_bytes = 0;  // the piece of the file in it
};

// Bytes of the current segment; within file_bytes. Good until the next call.
absl::StatusOr<std::string_view> SegmentReader::Impl::Window(uint64_t offset, uint64_t bytes) {
  if (offset < buffer_offset || offset + bytes > buffer_offset + buffer_bytes) {
    const uint64_t left = segment().header.file_bytes - offset;
    const uint64_t piece = std::min(left, std::max(bytes, kPieceBytes));
    if (piece > buffer_capacity) {
      buffer = std::make_unique_for_overwrite<char[]>(piece);
      buffer_capacity = piece;
    }
    buffer_bytes = 0;
    if (absl::Status status = file->ReadAt(offset, {buffer.get(), piece}); !status.ok()) {
      return InWal(status);
    }
    buffer_offset = offset;
    buffer_bytes = piece;
  }
  return std::string_view(buffer.get() + (offset - buffer_offset), bytes);
}

// The header is one of this epoch, as far as that can be seen without its sections.
bool SegmentReader::Impl::Fits(const RecordHeader& header) const {
  return header.epoch == segment().header.epoch && header.durable_lsn < header.lsn;
}

// ... and behind the record before it.
bool SegmentReader::Impl::Follows(const RecordHeader& header) {
  if (BETTONG_PLANTED(no_chain_check)) return true;
  begun = Fits(header) && header.lsn == expected;
  return begun && header.previous_crc == previous_crc;
}

absl::StatusOr<std::optional<Record>> SegmentReader::Impl::TryRecord() {
  begun = false;
  const uint64_t left = segment().header.file_bytes - position;
  if (left < kRecordHeaderBytes) return std::nullopt;
  absl::StatusOr<std::string_view> bytes = Window(position, kRecordHeaderBytes);
  if (!bytes.ok()) return bytes.status();
  const std::optional<RecordHeader> header = DecodeRecordHeader(*bytes);
  if (!header || !Follows(*header)) return std::nullopt;
  if (PaddedRecordBytes(header->section_bytes) > left) return std::nullopt;
  bytes = Window(position, kRecordHeaderBytes + header->section_bytes);
  if (!bytes.ok()) return bytes.status();
  const std::string_view sections = bytes->substr(kRecordHeaderBytes);
  if (!RecordCrcMatches(*header, *bytes, sections) && !BETTONG_PLANTED(crc_not_checked)) {
    return std::nullopt;
  }
  return Record{*header, segment().header.number, position, sections};
}

void SegmentReader::Impl::Proven(Lsn lsn) {
  std::erase_if(end.unproven, [&](const RecordPlace& at) { return at.header.lsn <= lsn; });
}

absl::StatusOr<std::optional<Record>> SegmentReader::Impl::Next() {
  while (!finished) {
    if (file == nullptr) {
      auto opened = files.Open(segment().path, OpenMode::kRead);
      if (!opened.ok()) return InWal(opened.status());
      file = *std::move(opened);
      position = kSegmentHeaderBytes;
      buffer_bytes = 0;
    }
    if (required_end && expected > *required_end && !BETTONG_PLANTED(cut_tail_revived)) break;
    absl::StatusOr<std::optional<Record>> record = TryRecord();
    if (!record.ok()) return record.status();
    if (record->has_value()) {
      const RecordHeader& header = (*record)->header;
      Proven(header.durable_lsn);
      end.unproven.push_back({segment().header.number, position, header});
      end.last = header.lsn;
      previous_crc = header.crc;
      expected = Lsn(header.lsn.value() + 1);
      position += PaddedRecordBytes(header.section_bytes);
      return record;
    }
    if (index + 1 == segments.size()) break;
    const SegmentHeader& next = segments[index + 1].header;
    // The next segment was begun when the one before held this and no more.
    if (next.first_lsn != expected || next.previous_crc != previous_crc) break;
    Proven(end.last);
    ++index;
    file.reset();
  }
  finished = true;
  return std::nullopt;
}

void SegmentReader::Impl::SetEnd(LogEnd::Kind kind, const std::string& what) {
  end.kind = kind;
  end.message =
      absl::StrCat(segment().path, " at ", position, ": record ", expected.value(), " of epoch ",
                   segment().header.epoch.value(), begun ? " is not whole" : " is not there", what);
}

absl::StatusOr<bool> SegmentReader::Impl::FindWitness(RecordHeader& found, uint64_t& offset) {
  const uint64_t file_bytes = segment().header.file_bytes;
  uint64_t budget = file_bytes * kSearchFactor;
  for (offset = position + kRecordAlignment; offset + kRecordHeaderBytes <= file_bytes;
       offset += kRecordAlignment) {
    absl::StatusOr<std::string_view> bytes = Window(offset, kRecordHeaderBytes);
    if (!bytes.ok()) return bytes.status();
    const std::optional<RecordHeader> header = DecodeRecordHeader(*bytes);
    if (!header || !Fits(*header) || header->durable_lsn < expected) continue;
    const uint64_t records_between = (offset - position) / kRecordHeaderBytes;
    const uint64_t record_bytes = PaddedRecordBytes(header->section_bytes);
    if (header->lsn.value() - expected.value() > records_between ||
        record_bytes > file_bytes - offset) {
      continue;
    }
    if (record_bytes > budget) return false;
    budget -= record_bytes;
    bytes = Window(offset, kRecordHeaderBytes + header->section_bytes);
    if (!bytes.ok()) return bytes.status();
    if (!RecordCrcMatches(*header, *bytes, bytes->substr(kRecordHeaderBytes))) continue;
    found = *header;
    return true;
  }
  return false;
}

absl::Status SegmentReader::Impl::Judge() {
  using Kind = LogEnd::Kind;
  end.segment = segment().header.number;
  end.offset = position;
  if (required_end) {
    if (end.last < *required_end) {
      SetEnd(Kind::kCorrupt,
             absl::StrCat("; the next epoch found records up to ", required_end->value()));
    }
    // The next epoch began when all of it had been settled.
    end.unproven.clear();
    return absl::OkStatus();
  }
  if (index + 1 < segments.size()) {
    SetEnd(Kind::kCorrupt, absl::StrCat("; the next segment begins with record ",
                                        segments[index + 1].header.first_lsn.value()));
    return absl::OkStatus();
  }
  RecordHeader witness;
  uint64_t offset = 0;
  const absl::StatusOr<bool> found = FindWitness(witness, offset);
  if (!found.ok()) return found.status();
  if (*found) {
    SetEnd(Kind::kCorrupt, absl::StrCat("; record ", witness.lsn.value(), " at ", offset,
                                        " says that everything up to ", witness.durable_lsn.value(),
                                        " was durable"));
    return absl::OkStatus();
  }
  const SegmentHeader& header = segment().header;
  absl::StatusOr<std::optional<DurableMark>> mark =
      ReadDurableMark(files, ParentDirectory(segment().path), header.shard);
  if (!mark.ok()) return mark.status();
  if (mark->has_value() && (*mark)->epoch == header.epoch) {
    Proven((*mark)->lsn);
    if ((*mark)->lsn >= expected) {
      SetEnd(Kind::kCorrupt, absl::StrCat("; the file `durable` says that everything up to ",
                                          (*mark)->lsn.value(), " was"));
      return absl::OkStatus();
    }
  }
  if (begun) SetEnd(Kind::kTorn, "; nobody was told that it is durable");
  return absl::OkStatus();
}

absl::StatusOr<LogEnd> SegmentReader::Impl::End() {
  BETTONG_CHECK(finished);
  if (!judged) {
    if (absl::Status status = Judge(); !status.ok()) return status;
    judged = true;
  }
  return end;
}

SegmentReader::SegmentReader(FileSystem& files, std::vector<SegmentInfo> segments,
                             std::optional<Lsn> required_end)
    : impl_(std::make_unique<Impl>(files, std::move(segments), required_end)) {}

SegmentReader::~SegmentReader() = default;

absl::StatusOr<std::optional<Record>> SegmentReader::Next() { return impl_->Next(); }

absl::StatusOr<LogEnd> SegmentReader::End() { return impl_->End(); }

}  // namespace bettong::wal
