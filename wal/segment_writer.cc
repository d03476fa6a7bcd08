#include "wal/segment_writer.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/check.h"
#include "wal/errors.h"
#include "wal/segment_pool.h"

namespace bettong::wal {
namespace {

constexpr std::string_view kPadding("\0\0\0\0\0\0\0", kRecordAlignment - 1);

uint64_t SectionBytes(std::span<const Section> sections) {
  uint64_t bytes = 0;
  for (const Section& section : sections) bytes += kSectionHeaderBytes + section.entries.size();
  return bytes;
}

}  // namespace

struct SegmentWriter::Impl {
  explicit Impl(SegmentWriterOptions given)
      : options(std::move(given)),
        files(*options.files),
        pool(files, options.directory, options.segment_bytes, options.spare_segments_max) {}

  absl::Status Open();
  absl::Status OpenDurableFile(const std::vector<std::string>& names);
  absl::Status Commit(std::span<const Section> sections);
  // In this segment, or the next.
  absl::Status MakeRoom(uint64_t record_bytes);
  absl::Status Switch(uint64_t record_bytes);
  absl::Status Install(SegmentPool::ReadyFile& ready);
  absl::Status EraseFailedRecord();
  absl::Status WriteRecord(std::span<const Section> sections);
  uint32_t EncodeRecord(std::span<const Section> sections);  // into `parts`; returns its CRC
  absl::Status NoteDurable();
  void Count(std::span<const Section> sections);
  void Uncount(std::span<const Section> sections);

  // The error that everything is answered with from now on.
  absl::Status Break(const absl::Status& status) {
    BETTONG_CHECK(!status.ok());
    const bool full = absl::IsResourceExhausted(status);
    broken = absl::Status(full ? absl::StatusCode::kInternal : status.code(), status.message());
    return broken;
  }
  absl::Status BreakUnlessFull(const absl::Status& status) {
    return status.ok() || absl::IsResourceExhausted(status) ? status : Break(status);
  }
  std::string PathOf(std::string_view name) const {
    return options.directory + "/" + std::string(name);
  }

  const SegmentWriterOptions options;
  FileSystem& files;
  SegmentPool pool;
  absl::Status broken;

  SegmentNumber oldest;
  SegmentNumber current;
  std::unique_ptr<File> file;
  uint64_t file_bytes = 0;
  uint64_t position = 0;  // of the next record
  Lsn last_lsn;
  uint32_t last_crc = 0;
  // A record that met a full disk may be whole on it, or become so: to be erased before anything
  // else is written.
  bool erase_first = false;
  std::unique_ptr<File> durable_file;
  uint64_t bytes_written = 0;

  std::vector<uint64_t> last_sequences;  // by partition
  bool opens_are_over = false;

  // Of the record being written.
  std::string headers;
  std::vector<std::string_view> parts;
};

absl::Status SegmentWriter::Impl::Open() {
  absl::Status status = files.MakeDirectory(options.directory);
  // Also if it was there: whoever made it may have ended before this.
  if (status.ok()) status = files.SyncDirectory(ParentDirectory(options.directory));
  if (!status.ok()) return status;
  const auto names = files.List(options.directory);
  if (!names.ok()) return names.status();
  SegmentNumber newest;
  oldest = options.first;
  for (const std::string& name : *names) {
    if (const auto number = ParseSegmentFileName(name)) {
      newest = std::max(newest, *number);
      oldest = std::min(oldest, *number);
    }
  }
  if (newest.value() != 0 && newest.value() + 1 != options.first.value()) {
    return absl::FailedPreconditionError(absl::StrCat("open ", options.directory,
                                                      ": its newest segment is ", newest.value(),
                                                      ", not ", options.first.value() - 1));
  }
  status = pool.Adopt(*names);
  if (status.ok()) status = OpenDurableFile(*names);
  if (status.ok()) status = pool.Prepare(options.segment_bytes);
  current = SegmentNumber(options.first.value() - 1);
  if (status.ok()) status = Install(pool.next());
  if (status.ok()) pool.NextIsTaken();
  return status;
}

absl::Status SegmentWriter::Impl::OpenDurableFile(const std::vector<std::string>& names) {
  const std::string path = PathOf(kDurableName);
  const bool there = std::find(names.begin(), names.end(), kDurableName) != names.end();
  auto opened = files.Open(path, there ? OpenMode::kReadWrite : OpenMode::kCreate);
  if (!opened.ok()) return opened.status();
  durable_file = *std::move(opened);
  const absl::StatusOr<uint64_t> size = durable_file->Size();
  if (!size.ok()) return size.status();
  // What it says of the epoch before stands until this one has something to say.
  if (*size == kDurableMarkBytes) return absl::OkStatus();
  absl::Status status = NoteDurable();
  if (status.ok()) status = durable_file->Truncate(kDurableMarkBytes);
  if (status.ok()) status = durable_file->Sync();
  return status;
}

absl::Status SegmentWriter::Impl::Install(SegmentPool::ReadyFile& ready) {
  const SegmentNumber number(current.value() + 1);
  std::string header;
  EncodeSegmentHeader({.node = options.node,
                       .epoch = options.epoch,
                       .number = number,
                       .file_bytes = ready.file_bytes,
                       .first_lsn = Lsn(last_lsn.value() + 1),
                       .previous_crc = last_crc,
                       .shard = options.shard,
                       .end_before = options.end_before},
                      header);
  const std::string_view header_parts[] = {header};
  // An error so far leaves a prepared file: its header is written again when this is tried again.
  absl::Status status = ready.file->WriteAt(0, header_parts);
  if (status.ok()) status = ready.file->Sync();
  if (status.ok()) status = files.Rename(ready.path, PathOf(SegmentFileName(number)));
  if (!status.ok()) return status;
  if (status = files.SyncDirectory(options.directory); !status.ok()) return Break(InWal(status));
  current = number;
  file = std::move(ready.file);
  file_bytes = ready.file_bytes;
  position = kSegmentHeaderBytes;
  return absl::OkStatus();
}

absl::Status SegmentWriter::Impl::Switch(uint64_t record_bytes) {
  if (kSegmentHeaderBytes + record_bytes > options.segment_bytes) {
    auto large = pool.MakeLarge(WholeBlocks(kSegmentHeaderBytes + record_bytes));
    return large.ok() ? Install(*large) : large.status();
  }
  absl::Status status = pool.Prepare(options.segment_bytes);
  if (status.ok()) status = Install(pool.next());
  if (status.ok()) pool.NextIsTaken();
  return status;
}

void SegmentWriter::Impl::Count(std::span<const Section> sections) {
  for (const Section& section : sections) {
    const size_t partition = section.partition.value();
    if (partition >= last_sequences.size()) last_sequences.resize(partition + 1);
    BETTONG_CHECK(section.sequence == ++last_sequences[partition]);
    BETTONG_CHECK((section.kind == SectionKind::kOpen) == (section.sequence == 1));
    BETTONG_CHECK(section.kind != SectionKind::kOpen || !opens_are_over);
    if (section.kind != SectionKind::kOpen) opens_are_over = true;
  }
}

void SegmentWriter::Impl::Uncount(std::span<const Section> sections) {
  for (const Section& section : sections) --last_sequences[section.partition.value()];
}

absl::Status SegmentWriter::Impl::Commit(std::span<const Section> sections) {
  if (!broken.ok()) return broken;
  Count(sections);
  absl::Status status = MakeRoom(PaddedRecordBytes(SectionBytes(sections)));
  if (status.ok()) status = WriteRecord(sections);
  if (!status.ok()) Uncount(sections);
  return status;
}

absl::Status SegmentWriter::Impl::MakeRoom(uint64_t record_bytes) {
  if (erase_first) {
    if (absl::Status status = EraseFailedRecord(); !status.ok()) return status;
  }
  if (record_bytes <= file_bytes - position) return absl::OkStatus();
  const absl::Status status = Switch(record_bytes);
  return broken.ok() ? BreakUnlessFull(InWal(status)) : broken;
}

absl::Status SegmentWriter::Impl::WriteRecord(std::span<const Section> sections) {
  const uint32_t crc = EncodeRecord(sections);
  if (absl::Status status = file->WriteAt(position, parts); !status.ok()) {
    if (!absl::IsResourceExhausted(status)) return Break(InWal(status));
    erase_first = true;
    const absl::Status erased = EraseFailedRecord();
    return erased.ok() ? InWal(status) : erased;
  }
  if (absl::Status status = file->Sync(); !status.ok()) return Break(InWal(status));

  const uint64_t record_bytes = PaddedRecordBytes(SectionBytes(sections));
  last_lsn = Lsn(last_lsn.value() + 1);
  last_crc = crc;
  position += record_bytes;
  bytes_written += record_bytes;
  // A hint that stays behind because the disk is full does no harm.
  if (absl::Status status = NoteDurable(); !status.ok() && !absl::IsResourceExhausted(status)) {
    return Break(InWal(status));
  }
  return absl::OkStatus();
}

uint32_t SegmentWriter::Impl::EncodeRecord(std::span<const Section> sections) {
  const uint64_t section_bytes = SectionBytes(sections);
  BETTONG_CHECK(section_bytes <= kRecordBytesMax);
  headers.clear();
  headers.reserve(kRecordHeaderBytes + sections.size() * kSectionHeaderBytes);
  parts.clear();
  for (const Section& section : sections) {
    const size_t begin = headers.size();
    EncodeSectionHeader(section, headers);
    parts.push_back(std::string_view(headers).substr(begin));
    parts.push_back(section.entries);
  }
  const size_t begin = headers.size();
  const uint32_t crc = EncodeRecordHeader({.previous_crc = last_crc,
                                           .section_bytes = static_cast<uint32_t>(section_bytes),
                                           .lsn = Lsn(last_lsn.value() + 1),
                                           .durable_lsn = last_lsn,
                                           .epoch = options.epoch},
                                          parts, headers);
  parts.insert(parts.begin(), std::string_view(headers).substr(begin));
  const uint64_t padding_bytes =
      PaddedRecordBytes(section_bytes) - kRecordHeaderBytes - section_bytes;
  parts.push_back(kPadding.substr(0, padding_bytes));
  return crc;
}

// What a full disk let through of a record may look whole (when what is missing of it equals what
// was there before), and the record that will stand in its place is another one.
absl::Status SegmentWriter::Impl::EraseFailedRecord() {
  const std::array<char, kRecordHeaderBytes> zeros{};
  const std::string_view zero_parts[] = {{zeros.data(), zeros.size()}};
  if (absl::Status status = file->WriteAt(position, zero_parts); !status.ok()) {
    return BreakUnlessFull(InWal(status));
  }
  if (absl::Status status = file->Sync(); !status.ok()) return Break(InWal(status));
  erase_first = false;
  return absl::OkStatus();
}

absl::Status SegmentWriter::Impl::NoteDurable() {
  std::string mark;
  EncodeDurableMark({.shard = options.shard, .epoch = options.epoch, .lsn = last_lsn}, mark);
  const std::string_view mark_parts[] = {mark};
  return durable_file->WriteAt(0, mark_parts);
}

SegmentWriter::SegmentWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

SegmentWriter::~SegmentWriter() = default;

absl::StatusOr<std::unique_ptr<SegmentWriter>> SegmentWriter::Open(SegmentWriterOptions options) {
  BETTONG_CHECK(options.epoch.value() > 0 && options.first.value() > 0);
  BETTONG_CHECK(options.segment_bytes > kSegmentHeaderBytes + kRecordHeaderBytes);
  auto impl = std::make_unique<Impl>(std::move(options));
  if (absl::Status status = impl->Open(); !status.ok()) {
    return impl->broken.ok() ? InWal(status) : impl->broken;
  }
  return std::unique_ptr<SegmentWriter>(new SegmentWriter(std::move(impl)));
}

absl::StatusOr<Lsn> SegmentWriter::Commit(std::span<const Section> sections) {
  if (absl::Status status = impl_->Commit(sections); !status.ok()) return status;
  return impl_->last_lsn;
}

absl::Status SegmentWriter::PrepareNextSegment(uint64_t bytes_max) {
  if (!impl_->broken.ok()) return impl_->broken;
  return impl_->BreakUnlessFull(InWal(impl_->pool.Prepare(bytes_max)));
}

absl::Status SegmentWriter::RemoveBelow(SegmentNumber keep_from) {
  if (!impl_->broken.ok()) return impl_->broken;
  const SegmentNumber end = std::min(keep_from, impl_->current);
  while (impl_->oldest < end) {
    absl::Status status = impl_->pool.Retire(impl_->oldest);
    if (!status.ok()) return impl_->BreakUnlessFull(InWal(status));
    impl_->oldest = SegmentNumber(impl_->oldest.value() + 1);
  }
  return absl::OkStatus();
}

bool SegmentWriter::next_segment_ready() const { return impl_->pool.ready(); }
uint64_t SegmentWriter::current_segment_room() const { return impl_->file_bytes - impl_->position; }
SegmentNumber SegmentWriter::oldest_segment() const { return impl_->oldest; }
SegmentNumber SegmentWriter::current_segment() const { return impl_->current; }
Lsn SegmentWriter::durable_lsn() const { return impl_->last_lsn; }
uint64_t SegmentWriter::bytes_written() const { return impl_->bytes_written; }

}  // namespace bettong::wal
