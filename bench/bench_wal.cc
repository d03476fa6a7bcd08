// The log on a real disk: what a group commit costs, what preparing segments costs, and how fast it
// is read back. In a directory of its own below the current one, removed afterwards.
//   bench_wal [seconds per row | --smoke]
#include <absl/strings/str_cat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/file_system.h"
#include "wal/data_directory.h"
#include "wal/history.h"
#include "wal/open_logs.h"

namespace bettong::wal {
namespace {

constexpr uint32_t kPartitions = 64;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) std::fprintf(stderr, "bench_wal: %s\n", value.status().ToString().c_str());
  BETTONG_CHECK(value.ok());
  return *std::move(value);
}

void Must(const absl::Status& status) {
  if (!status.ok()) std::fprintf(stderr, "bench_wal: %s\n", status.ToString().c_str());
  BETTONG_CHECK(status.ok());
}

// A data directory with one shard, from empty.
class Log {
 public:
  explicit Log(const std::string& path, size_t spares) : path_(path) {
    std::filesystem::remove_all(path_);
    directory_ = Must(DataDirectory::Open(*files_, path_, {.partitions = kPartitions}));
    auto history = Must(History::Open(*files_, *directory_));
    const HistoryEnd end =
        Must(history->Replay([](PartitionId) { return true; },
                             [](const History::Visit&) { return absl::OkStatus(); }, nullptr));
    logs_ = Must(OpenLogs(
        *files_, *directory_, end,
        {.shard_of = [](PartitionId) { return ShardId(0); }, .spare_segments_max = spares}));
    sequences_.assign(kPartitions, 1);
  }
  ~Log() { std::filesystem::remove_all(path_); }

  SegmentWriter& writer() { return *logs_.writers[0]; }

  // One group of `bytes` of entries, in `sections` sections.
  void Commit(uint64_t bytes, size_t sections) {
    entries_.resize(bytes / sections, 'x');
    group_.clear();
    for (size_t i = 0; i < sections; ++i) {
      const size_t partition = next_partition_++ % kPartitions;
      group_.push_back({.partition = PartitionId(static_cast<uint16_t>(partition)),
                        .sequence = ++sequences_[partition],
                        .entries = entries_});
    }
    Must(writer().Commit(group_));
  }

  FileSystem& files() { return *files_; }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  std::unique_ptr<FileSystem> files_ = MakePosixFileSystem();
  std::unique_ptr<DataDirectory> directory_;
  OpenedLogs logs_;
  std::vector<uint64_t> sequences_;
  size_t next_partition_ = 0;
  std::string entries_;
  std::vector<Section> group_;
};

void BenchCommit(const std::string& path, double seconds) {
  std::printf("%-28s %12s %10s %10s\n", "commit (write + fdatasync)", "groups/s", "MB/s",
              "us/group");
  for (const auto& [bytes, sections] :
       {std::pair<uint64_t, size_t>{100, 1}, {4096, 8}, {64 << 10, 32}}) {
    Log log(path, 4);
    uint64_t groups = 0, written = 0;
    double spent = 0;
    // The preparing of segments is timed on its own, below.
    while (spent < seconds) {
      Must(log.writer().PrepareNextSegment());
      const double begin = Now();
      for (int i = 0; i < 50; ++i, ++groups) log.Commit(bytes, sections);
      spent += Now() - begin;
      written += 50 * bytes;
      Must(log.writer().RemoveBelow(log.writer().current_segment()));
    }
    std::printf("%-28s %12.0f %10.1f %10.1f\n", absl::StrCat(bytes, " B").c_str(),
                static_cast<double>(groups) / spent, static_cast<double>(written) / spent / 1e6,
                spent / static_cast<double>(groups) * 1e6);
  }
}

void BenchSegments(const std::string& path) {
  std::printf("\n%-28s %12s\n", "segments of 32 MiB", "ms each");
  for (const size_t spares : {0, 4}) {
    Log log(path, spares);
    double prepare = 0, all = 0;
    constexpr int kSegments = 8;
    for (int i = 0; i < kSegments + 1; ++i) {
      const double begin = Now();
      Must(log.writer().PrepareNextSegment());
      if (i > 0) prepare += Now() - begin;
      const SegmentNumber before = log.writer().current_segment();
      while (log.writer().current_segment() == before) log.Commit(1 << 20, 1);
      Must(log.writer().RemoveBelow(log.writer().current_segment()));
      if (i > 0) all += Now() - begin;
    }
    const char* kind = spares == 0 ? "new" : "recycled";
    std::printf("%-28s %12.2f\n", absl::StrCat("prepare, ", kind).c_str(),
                prepare / kSegments * 1e3);
    std::printf("%-28s %12.2f\n", absl::StrCat("prepare and fill, ", kind).c_str(),
                all / kSegments * 1e3);
  }
}

void BenchReplay(const std::string& path) {
  std::printf("\n%-28s %12s %10s\n", "replay (page cache)", "sections/s", "MB/s");
  for (const uint64_t entry_bytes : {100, 4096, 64 << 10}) {
    Log log(path, 0);
    constexpr uint64_t kBytes = 512 << 20;
    while (log.writer().bytes_written() < kBytes) log.Commit(4 << 20, (4 << 20) / entry_bytes);
    for (int round = 0; round < 2; ++round) {  // the first reads what the disk has not in memory
      const double begin = Now();
      auto directory = Must(DataDirectory::OpenToRead(log.files(), log.path()));
      auto history = Must(History::Open(log.files(), *directory));
      uint64_t sections = 0, bytes = 0;
      Must(history->Replay([](PartitionId) { return true; },
                           [&](const History::Visit& at) {
                             ++sections;
                             bytes += at.section.entries.size();
                             return absl::OkStatus();
                           },
                           nullptr));
      const double spent = Now() - begin;
      if (round == 0) continue;
      std::printf("%-28s %12.0f %10.0f\n", absl::StrCat("sections of ", entry_bytes, " B").c_str(),
                  static_cast<double>(sections) / spent, static_cast<double>(bytes) / spent / 1e6);
    }
  }
}

void BenchCrc() {
  const std::string bytes(64 << 20, 'x');
  std::printf("\n%-28s %10s\n", "CRC-32C", "MB/s");
  for (const auto& [name, crc] :
       {std::pair{"by instruction", &Crc32c}, std::pair{"by table", &Crc32cByTable}}) {
    const double begin = Now();
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = crc(bytes, value);
    const double spent = Now() - begin;
    std::printf("%-28s %10.0f%s\n", name, 4.0 * static_cast<double>(bytes.size()) / spent / 1e6,
                value == 0 ? " " : "");
  }
}

}  // namespace
}  // namespace bettong::wal

int main(int argc, char** argv) {
  double seconds = 2;
  if (argc > 1) seconds = argv[1] == std::string_view("--smoke") ? 0.01 : std::atof(argv[1]);
  const std::string path = "bench_wal.tmp";
  bettong::wal::BenchCommit(path, seconds);
  bettong::wal::BenchSegments(path);
  bettong::wal::BenchReplay(path);
  bettong::wal::BenchCrc();
  return 0;
}
