// Any bytes as a segment: it is read without harm, every record that comes out is whole and in its
// place, and the end is judged. First byte: 1: checksums and chain are put right first, so that
// what is behind them is reached too; 2: there is a `durable`, with the second byte as its lsn.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/simulated_disk.h"
#include "wal/data_directory.h"
#include "wal/format.h"
#include "wal/history.h"
#include "wal/segment_reader.h"

namespace {

using namespace bettong;
using namespace bettong::wal;

// Where the CRCs are, by docs/log-format.md.
void PutRight(std::string& segment) {
  if (segment.size() < kSegmentHeaderBytes) return;
  StoreUnaligned(segment.data() + 12, Crc32c(std::string_view(segment).substr(16, 64)));
  auto previous = LoadUnaligned<uint32_t>(segment.data() + 64);
  for (size_t at = kSegmentHeaderBytes; segment.size() - at >= kRecordHeaderBytes;) {
    const uint64_t section_bytes = LoadUnaligned<uint32_t>(segment.data() + at + 12);
    if (PaddedRecordBytes(section_bytes) > segment.size() - at) return;
    StoreUnaligned(segment.data() + at + 8, previous);
    previous = Crc32c(std::string_view(segment).substr(at + 8, 32 + section_bytes));
    StoreUnaligned(segment.data() + at + 4, previous);
    at += PaddedRecordBytes(section_bytes);
  }
}

void ReadSegment(SimulatedDisk& disk, const std::string& segment) {
  const auto segments = ListSegments(disk, "data/shard-00", NodeUuid{}, ShardId(0));
  if (!segments.ok()) return;
  BETTONG_CHECK(segments->size() == 1);
  const SegmentHeader& header = segments->front().header;
  SegmentReader reader(disk, *segments, std::nullopt);
  uint64_t lsn = header.first_lsn.value(), offset = kSegmentHeaderBytes;
  while (true) {
    const auto record = reader.Next();
    BETTONG_CHECK(record.ok());
    if (!record->has_value()) break;
    const Record& at = **record;
    BETTONG_CHECK(at.header.lsn.value() == lsn++ && at.offset == offset);
    BETTONG_CHECK(at.header.epoch == header.epoch && at.sections.size() == at.header.section_bytes);
    offset += PaddedRecordBytes(at.sections.size());
    BETTONG_CHECK(offset <= header.file_bytes && offset <= segment.size());
    BETTONG_CHECK(
        segment.compare(at.offset + kRecordHeaderBytes, at.sections.size(), at.sections) == 0);
    std::string_view rest = at.sections;
    Section section;
    while (!rest.empty() && DecodeSection(rest, section)) {
    }
  }
  const auto end = reader.End();
  BETTONG_CHECK(end.ok() && end->offset == offset && end->last.value() + 1 == lsn);
  BETTONG_CHECK((end->kind == LogEnd::Kind::kClean) == end->message.empty());
  const auto mark = ReadDurableMark(disk, "data/shard-00", ShardId(0));
  if (mark->has_value() && (*mark)->epoch == header.epoch && (*mark)->lsn.value() >= lsn) {
    BETTONG_CHECK(end->kind == LogEnd::Kind::kCorrupt);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string segment(reinterpret_cast<const char*>(data) + 2, size - 2);
  if ((data[0] & 1) != 0) PutRight(segment);
  SimulatedDisk disk(1);
  disk.SetContents("data/shard-00/00000001.log", segment);
  if ((data[0] & 2) != 0) {
    std::string mark;
    EncodeDurableMark({.epoch = Epoch(1), .lsn = Lsn(data[1])}, mark);
    disk.SetContents("data/shard-00/durable", mark);
  }
  ReadSegment(disk, segment);

  // The same as a whole data directory of four partitions.
  NodeUuid node{};
  { BETTONG_CHECK(DataDirectory::Open(disk, "other", {.node = node, .partitions = 4}).ok()); }
  disk.SetContents("data/NODE", disk.Contents("other/NODE"));
  const auto directory = DataDirectory::OpenToRead(disk, "data");
  BETTONG_CHECK(directory.ok());
  const auto history = History::Open(disk, **directory);
  if (!history.ok()) return 0;
  std::vector<uint64_t> last(4);
  (*history)
      ->Replay([](PartitionId) { return true; },
               [&](const History::Visit& at) {
                 uint64_t& before = last[at.section.partition.value()];
                 BETTONG_CHECK(before == 0 || at.section.sequence == before + 1);
                 before = at.section.sequence;
                 return absl::OkStatus();
               },
               nullptr)
      .IgnoreError();
  return 0;
}
