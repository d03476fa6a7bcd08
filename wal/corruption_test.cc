// Damage to real logs: what is read is an error or exactly what counts, never less and never wrong.

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/simulated_disk.h"
#include "wal/log_runs.h"
#include "wal/node_testing.h"
#include "wal/seeds_testing.h"

namespace bettong::wal {
namespace {

struct RecordSeen {
  SegmentNumber segment;
  uint64_t offset = 0, bytes = 0;  // without padding
};

// The last epoch in a shard's log.
struct LastRun {
  ShardId shard;
  Epoch epoch;
  std::string directory;
  std::vector<RecordSeen> records;
};

// A data directory after several lives, and what counts in it.
struct Original {
  SimulatedDisk::Image image;
  SimulatedDisk::Image sibling;  // with other bytes in its sections; the same otherwise
  std::vector<Sections> sections;
  std::vector<size_t> needed_from;  // by partition: the begin of its last complete round
  std::vector<LastRun> last_runs;
  std::set<std::string> first_of_runs;  // segments
};

// A first record, which holds the open sections, is not larger.
constexpr uint64_t kOpensBytesMax = 512;

SimulatedDisk::Image LiveAndStop(uint64_t seed, char salt) {
  SimulatedDisk disk(seed);
  TestNode node(disk, seed, salt);
  const bool checkpointed = seed % 3 == 0;
  for (uint64_t life = 0; life < 2 + seed % 3; ++life) {
    absl::Status status = node.Start(1 + static_cast<uint32_t>((seed + life) % 3));
    for (int i = 0; status.ok() && i < 30; ++i) status = node.Step();
    if (status.ok() && checkpointed && life > 0) status = node.Checkpoint();
    for (int i = 0; status.ok() && i < 4; ++i) status = node.Step();
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(node.fault(), "");
    node.Stop();
    disk.Kill();
  }
  return disk.TakeImage();
}

size_t NeededFrom(const Sections& sections) {
  size_t needed_from = 0;
  for (const SectionSeen& at : sections) {
    CheckpointEndEntry entry;
    if (at.kind != SectionKind::kCheckpointEnd || !DecodeCheckpointEnd(at.entries, entry)) continue;
    for (size_t i = 0; i < sections.size(); ++i) {
      if (sections[i].epoch == entry.begin_epoch && sections[i].sequence == entry.begin_sequence) {
        needed_from = i;
      }
    }
  }
  return needed_from;
}

Original MakeOriginal(uint64_t seed) {
  Original original{.image = LiveAndStop(seed, 'a'), .sibling = LiveAndStop(seed, 'b')};
  SimulatedDisk disk(seed);
  disk.LoadImage(original.image);
  auto sections = ReadEverything(disk, TestNode::kPath);
  EXPECT_TRUE(sections.ok()) << sections.status().ToString();
  original.sections = *std::move(sections);
  for (const Sections& of : original.sections) original.needed_from.push_back(NeededFrom(of));
  const auto directory = DataDirectory::OpenToRead(disk, TestNode::kPath);
  const auto runs = ListRuns(disk, **directory);
  for (const LogRun& run : runs->runs) {
    original.first_of_runs.insert(run.segments.front().path);
    if (run.required_end) continue;
    LastRun last{run.shard, run.epoch, (*directory)->ShardPath(run.shard), {}};
    SegmentReader reader(disk, run.segments, std::nullopt);
    for (auto record = reader.Next(); record->has_value(); record = reader.Next()) {
      last.records.push_back({(*record)->segment, (*record)->offset,
                              kRecordHeaderBytes + (*record)->header.section_bytes});
    }
    original.last_runs.push_back(std::move(last));
  }
  return original;
}

const Original& OriginalFor(uint64_t seed) {
  static std::vector<Original>* const kOriginals = [] {
    auto* made = new std::vector<Original>;
    for (uint64_t i = 1; i <= 12; ++i) made->push_back(MakeOriginal(i));
    return made;
  }();
  return (*kOriginals)[seed % kOriginals->size()];
}

class Damager {
 public:
  Damager(const Original& original, uint64_t seed) : original_(original), random_(seed) {}

  SimulatedDisk::Image Damage(std::string& description) {
    SimulatedDisk::Image image = original_.image;
    uint64_t n = 1 + Below(3) * Below(2);
    only_ = n == 1;
    for (; n > 0 && !image.empty(); --n) {
      description += DamageOnce(image) + "; ";
    }
    return image;
  }

 private:
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  std::string AnyFile(const SimulatedDisk::Image& image) {
    // `durable` and NODE are small and many kinds of damage to segments are possible.
    while (true) {
      auto at = image.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(Below(image.size())));
      if (at->first.ends_with(".log") || Below(4) == 0) return at->first;
    }
  }

  // Where something is: a record of a last run, or anywhere.
  uint64_t Place(const std::string& path, uint64_t size) {
    for (const LastRun& run : original_.last_runs) {
      if (!path.starts_with(run.directory) || run.records.empty() || Below(2) == 0) continue;
      const RecordSeen& at =
          run.records[Below(4) == 0 ? Below(run.records.size()) : run.records.size() - 1];
      if (path == run.directory + "/" + SegmentFileName(at.segment)) {
        return std::min(size - 1, at.offset + Below(at.bytes));
      }
    }
    return Below(4) == 0 ? Below(std::min<uint64_t>(size, 128)) : Below(size);
  }

  std::string DamageOnce(SimulatedDisk::Image& image) {
    const std::string path = AnyFile(image);
    std::string& bytes = image[path];
    if (bytes.empty()) return "nothing";
    const uint64_t at = Place(path, bytes.size());
    const uint64_t block = Below(2) == 0 ? 512 : 4096;
    const uint64_t begin = at / block * block;
    const uint64_t size = std::min<uint64_t>(block, bytes.size() - begin);
    const std::string where = absl::StrCat(path, " at ", at);
    switch (Below(9)) {
      case 0:
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
        return "bit flipped in " + where;
      case 2:
        bytes.replace(begin, size, size, Below(2) == 0 ? '\0' : '\xff');
        return absl::StrCat("block of ", block, " wiped in ", where);
      case 3: {
        const uint64_t count = std::min<uint64_t>(bytes.size() - at, 1 + Below(64));
        for (uint64_t i = 0; i < count; ++i) bytes[at + i] = static_cast<char>(Below(256));
        return "noise in " + where;
      }
      case 4: {  // also of files of other kinds, and shards
        std::string& other = image[AnyFile(image)];
        const uint64_t other_begin = Below(other.size() / block + 1) * block;
        if (other_begin + size > other.size()) return "nothing";
        const std::string kept = bytes.substr(begin, size);
        bytes.replace(begin, size, other, other_begin, size);
        other.replace(other_begin, size, kept);
        return "blocks swapped with " + where;
      }
      case 5:
        bytes.resize(Below(3) == 0 ? 0 : at);
        return "truncated " + where;
      case 6: {  // as if a write had gone to another version of the file
        const auto sibling = original_.sibling.find(path);
        if (sibling == original_.sibling.end() || sibling->second.size() != bytes.size() ||
            bytes.size() < TestNode::kSegmentBytes) {
          return "nothing";
        }
        // The first record of an epoch stays: a whole epoch of another history, with the same node
        // id, would be as good as this one's.
        const bool whole = only_ && !IsFirstOfRun(path) && Below(3) == 0;
        const uint64_t from =
            whole ? 0 : std::max(Below(2) == 0 ? begin : at, kSegmentHeaderBytes + kOpensBytesMax);
        const uint64_t to =
            whole || Below(2) == 0 ? bytes.size() : std::min(from + size, bytes.size());
        bytes.replace(from, to - from, sibling->second, from, to - from);
        return absl::StrCat("bytes ", from, " to ", to, " of another history in ", path);
      }
      case 7:
        if (Below(4) > 0) return "nothing";
        image.erase(path);
        return "removed " + path;
      default:
        bytes.replace(at, bytes.size() - at, bytes.size() - at, '\0');
        return "zeros from there on in " + where;
    }
  }

  bool IsFirstOfRun(const std::string& path) const {
    return original_.first_of_runs.contains(path);
  }

  const Original& original_;
  std::mt19937_64 random_;
  bool only_ = false;  // one thing is damaged, no more
};

// What may be missing without an error, as docs/log-format.md says: the first record of a log's
// last epoch from which on every record is damaged, if `durable` is too.
const RecordSeen* FirstThatMayGo(const Original& original, const SimulatedDisk::Image& image,
                                 const LastRun& run) {
  const std::string mark_path = run.directory + "/" + std::string(kDurableName);
  const auto mark = image.find(mark_path);
  if (mark != image.end() && mark->second == original.image.at(mark_path)) return nullptr;
  const RecordSeen* first = nullptr;
  for (size_t i = run.records.size(); i-- > 0;) {
    const RecordSeen& at = run.records[i];
    const std::string path = run.directory + "/" + SegmentFileName(at.segment);
    const auto damaged = image.find(path);
    if (damaged != image.end() && damaged->second.size() >= at.offset + at.bytes &&
        damaged->second.compare(at.offset, at.bytes, original.image.at(path), at.offset,
                                at.bytes) == 0) {
      break;
    }
    first = &at;
  }
  return first;
}

Sections Without(const Sections& sections, const LastRun& run, const RecordSeen& first) {
  Sections kept;
  for (const SectionSeen& at : sections) {
    const bool goes =
        at.epoch == run.epoch && at.shard == run.shard &&
        std::tie(at.segment, at.record_offset) >= std::tie(first.segment, first.offset);
    if (!goes) kept.push_back(at);
  }
  return kept;
}

// Whether `found` is `sections`, up to a beginning that is not needed.
bool IsRight(const Sections& found, const Sections& sections, size_t needed_from) {
  if (found.size() > sections.size() || sections.size() - found.size() > needed_from) return false;
  return std::equal(found.rbegin(), found.rend(), sections.rbegin(),
                    [](const SectionSeen& a, const SectionSeen& b) { return a.SameAs(b); });
}

TEST(Corruption, IsAnErrorOrChangesNothingThatCounts) {
  uint64_t errors = 0, unharmed = 0, undetectable = 0;
  const uint64_t seeds = Seeds(6000);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const Original& original = OriginalFor(seed);
    ASSERT_FALSE(HasFailure());
    std::string damage;
    const SimulatedDisk::Image image = Damager(original, seed).Damage(damage);
    SimulatedDisk disk(seed);
    disk.LoadImage(image);
    const auto found = ReadEverything(disk, TestNode::kPath);
    if (!found.ok()) {
      // A file that has been removed may also be NODE.
      ASSERT_TRUE(absl::IsDataLoss(found.status()) || absl::IsNotFound(found.status()))
          << "seed " << seed << ": " << damage << "\n"
          << found.status().ToString();
      ++errors;
      continue;
    }
    std::vector<Sections> may_be = original.sections;
    for (const LastRun& run : original.last_runs) {
      const RecordSeen* first = FirstThatMayGo(original, image, run);
      if (first == nullptr) continue;
      ++undetectable;
      for (Sections& sections : may_be) sections = Without(sections, run, *first);
    }
    ASSERT_EQ(found->size(), original.sections.size()) << "seed " << seed << ": " << damage;
    for (size_t i = 0; i < found->size(); ++i) {
      ASSERT_TRUE(IsRight((*found)[i], original.sections[i], original.needed_from[i]) ||
                  IsRight((*found)[i], may_be[i], original.needed_from[i]))
          << "seed " << seed << ": " << damage << "\npartition " << i << ": " << (*found)[i].size()
          << " sections of " << original.sections[i].size();
    }
    ++unharmed;
  }
  RecordProperty("errors", static_cast<int>(errors));
  RecordProperty("unharmed", static_cast<int>(unharmed));
  RecordProperty("undetectable", static_cast<int>(undetectable));
  std::printf("%zu damaged logs: %zu errors, %zu unharmed (%zu times beyond detection)\n",
              static_cast<size_t>(seeds), static_cast<size_t>(errors),
              static_cast<size_t>(unharmed), static_cast<size_t>(undetectable));
  EXPECT_GT(errors, seeds / 5);
  EXPECT_GT(unharmed, seeds / 20);
}

}  // namespace
}  // namespace bettong::wal
