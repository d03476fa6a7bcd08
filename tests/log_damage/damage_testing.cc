#include "tests/log_damage/damage_testing.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wal/log_runs.h"
#include "wal/segment_reader.h"

namespace bettong {
namespace {

// Everything from the n-th operation of its kind on fails.
SimulatedDisk::Hook DieAt(SimulatedDisk::Operation operation, uint64_t n) {
  return [operation, n, seen = uint64_t{0}](const SimulatedDisk::Call& call) mutable {
    seen += call.operation == operation ? 1 : 0;
    return seen >= n ? absl::AbortedError("the power failed") : absl::OkStatus();
  };
}

bool IsDamaged(const SimulatedDisk::Image& image, const SimulatedDisk::Image& damaged,
               const std::string& path, uint64_t offset, uint64_t bytes) {
  const auto at = damaged.find(path);
  return at == damaged.end() || at->second.size() < offset + bytes ||
         at->second.compare(offset, bytes, image.at(path), offset, bytes) != 0;
}

}  // namespace

// -- Originals

Original::Original(compute::ScriptedHost& host, uint64_t seed) : host_(host) {
  Live(seed);
  if (!fault_.empty()) return;
  ReadRuns();
  const absl::StatusOr<Recovered> recovered = RecoverImage(host_, image_, shards_next_);
  if (!recovered.ok()) {
    fault_ = absl::StrCat("undamaged: ", std::string(recovered.status().message()));
    return;
  }
  whole_ = recovered->state;
  if (!values_) return;
  if (*values_ != whole_.values) fault_ = "undamaged: the values are not the node's";
  // Some may come once more: what is confirmed is noted with whatever is written next.
  if (!std::includes(recovered->outbox.begin(), recovered->outbox.end(), pending_.begin(),
                     pending_.end())) {
    fault_ = "undamaged: something pending has gone";
  }
}

void Original::Live(uint64_t seed) {
  std::mt19937_64 random(seed);
  SimulatedDisk disk(seed);
  LoggedNode node(disk, host_, seed);
  const uint64_t lives = 2 + random() % 3;
  const bool checkpointed = random() % 3 != 0;
  for (uint64_t life = 1; life <= lives && fault_.empty(); ++life) {
    absl::Status status = node.Start(1 + static_cast<uint32_t>(random() % 3));
    const uint64_t steps = 5 + random() % 60;
    for (uint64_t i = 0; i < steps && status.ok(); ++i) {
      status = node.Step();
      if (random() % 50 == 0) earlier_.push_back(disk.TakeImage());
    }
    if (status.ok() && checkpointed && random() % 2 == 0) status = node.Checkpoint();
    for (uint64_t i = random() % 10; i > 0 && status.ok(); --i) status = node.Step();
    if (status.ok()) status = node.CommitAll();
    if (!status.ok()) {
      fault_ = absl::StrCat("life ", life, ": ", std::string(status.message()));
      return;
    }
    // How it ends: in good order, killed in the middle of a commit, or with a power failure.
    values_.reset();
    const uint64_t end = random() % 4;
    if (end < 2) {
      if (end == 0) status = node.Mark();
      values_ = node.ValuesDigest();
      pending_ = node.PendingNumbers();
    } else {
      disk.set_hook(DieAt(
          random() % 2 == 0 ? SimulatedDisk::Operation::kSync : SimulatedDisk::Operation::kWrite,
          1 + random() % 3));
      for (int i = 0; i < 5 && status.ok(); ++i) status = node.Step();
    }
    node.Stop();
    disk.set_hook(nullptr);
    if (end == 3) {
      disk.Crash();
    } else {
      disk.Kill();
    }
  }
  image_ = disk.TakeImage();
  shards_next_ = 1 + static_cast<uint32_t>(random() % 3);
}

void Original::ReadRuns() {
  SimulatedDisk disk(1);
  disk.LoadImage(image_);
  const auto directory = wal::DataDirectory::OpenToRead(disk, LoggedNode::kPath);
  const auto runs = wal::ListRuns(disk, **directory);
  BETTONG_CHECK(runs.ok());
  std::map<uint64_t, size_t> by_epoch;
  for (const wal::LogRun& run : runs->runs) {
    ++by_epoch[run.epoch.value()];
    trimmed_ |= run.segments.front().header.number.value() > 1 &&
                run.segments.front().header.epoch.value() > 1 &&
                run.segments.front().header.first_lsn.value() > 1;
    if (run.required_end) continue;
    LastRun& last = last_runs_.emplace_back();
    last.shard = run.shard;
    last.epoch = run.epoch;
    const std::string path = (*directory)->ShardPath(run.shard);
    last.mark_path = absl::StrCat(path, "/", std::string(wal::kDurableName));
    const auto mark = wal::ReadDurableMark(disk, path, run.shard);
    if (mark.ok() && mark->has_value() && (*mark)->epoch == run.epoch) last.durable = (*mark)->lsn;
    for (const wal::SegmentInfo& segment : run.segments) last.segments.push_back(segment.path);
    wal::SegmentReader reader(disk, run.segments, std::nullopt);
    for (auto record = reader.Next(); record->has_value(); record = reader.Next()) {
      last.records.push_back(
          {(*record)->header.lsn, absl::StrCat(path, "/", wal::SegmentFileName((*record)->segment)),
           (*record)->offset, wal::kRecordHeaderBytes + (*record)->header.section_bytes});
    }
  }
  epochs_ = by_epoch.size();
}

// -- What may be found

// Records from the last one back may be missing if nobody was promised them, or if they and what
// vouches for them are damaged alike.
size_t Original::FewestRecords(const LastRun& run, const SimulatedDisk::Image& damaged) const {
  const bool mark_damaged = image_.contains(run.mark_path) &&
                            IsDamaged(image_, damaged, run.mark_path, 0, wal::kDurableMarkBytes);
  size_t count = run.records.size();
  while (count > 0) {
    const LastRun::Record& record = run.records[count - 1];
    const bool promised = record.lsn <= run.durable;
    const bool gone = IsDamaged(image_, damaged, record.path, record.offset, record.bytes);
    if (promised && !(mark_damaged && gone)) break;
    --count;
  }
  return count;
}

const std::optional<NodeState>& Original::StateWith(const Cuts& cuts) {
  const auto [at, fresh] = states_.try_emplace(cuts);
  if (!fresh) return at->second;
  SimulatedDisk::Image image = image_;
  for (size_t i = 0; i < cuts.size(); ++i) {
    const LastRun& run = last_runs_[i];
    if (cuts[i] == run.records.size()) continue;
    const LastRun::Record& first = run.records[cuts[i]];
    std::string& bytes = image.at(first.path);
    bytes.replace(first.offset, bytes.size() - first.offset, bytes.size() - first.offset, '\0');
    for (auto it = run.segments.rbegin(); *it != first.path; ++it) image.erase(*it);
    const wal::Lsn last(first.lsn.value() - 1);
    if (last < run.durable) {
      std::string& mark = image.at(run.mark_path);
      mark.clear();
      wal::EncodeDurableMark({.shard = run.shard, .epoch = run.epoch, .lsn = last}, mark);
    }
  }
  absl::StatusOr<Recovered> recovered = RecoverImage(host_, image, shards_next_);
  if (recovered.ok()) at->second = recovered->state;
  return at->second;
}

Original::Verdict Original::Judge(const NodeState& found, const SimulatedDisk::Image& damaged) {
  if (found == whole_) return Verdict::kWhole;
  Cuts fewest, promised;
  for (const LastRun& run : last_runs_) {
    fewest.push_back(FewestRecords(run, damaged));
    const auto is_promised = [&](const LastRun::Record& record) {
      return record.lsn <= run.durable;
    };
    promised.push_back(
        static_cast<size_t>(std::count_if(run.records.begin(), run.records.end(), is_promised)));
  }
  // All combinations, like an odometer.
  for (Cuts cuts = fewest;;) {
    const std::optional<NodeState>& state = StateWith(cuts);
    if (state && *state == found) {
      bool all_promised = true;
      for (size_t i = 0; i < cuts.size(); ++i) all_promised &= cuts[i] >= promised[i];
      return all_promised ? Verdict::kUnpromised : Verdict::kUndetectable;
    }
    size_t digit = 0;
    while (digit < cuts.size() && cuts[digit] == last_runs_[digit].records.size()) {
      cuts[digit] = fewest[digit];
      ++digit;
    }
    if (digit == cuts.size()) return Verdict::kWrong;
    ++cuts[digit];
  }
}

// -- Damage

namespace {

class Damager {
 public:
  Damager(const Original& original, std::mt19937_64& random, SimulatedDisk::Image& image)
      : original_(original), random_(random), image_(image) {}

  std::string Once() {
    const std::string path = AnyFile();
    std::string& bytes = image_[path];
    if (bytes.empty()) return "";
    const uint64_t at = Place(path, bytes.size());
    const uint64_t block = OneIn(2) ? 512 : 4096;
    const uint64_t begin = at / block * block;
    const uint64_t size = std::min<uint64_t>(block, bytes.size() - begin);
    const std::string where = absl::StrCat(path, " at ", at);
    switch (Below(14)) {
      case 0:
      case 1:
      case 2: {
        const uint64_t flips = OneIn(4) ? 2 + Below(7) : 1;
        for (uint64_t i = 0; i < flips; ++i) {
          const uint64_t near = std::min<uint64_t>(bytes.size() - 1, at + (i == 0 ? 0 : Below(64)));
          bytes[near] = static_cast<char>(bytes[near] ^ (1 << Below(8)));
        }
        return absl::StrCat(flips, " bits flipped in ", where);
      }
      case 3:
      case 4:
        bytes.replace(begin, size, size, OneIn(3) ? '\xff' : '\0');
        return absl::StrCat("block of ", block, " wiped in ", where);
      case 5: {
        const uint64_t count = std::min<uint64_t>(bytes.size() - at, 1 + Below(64));
        for (uint64_t i = 0; i < count; ++i) bytes[at + i] = static_cast<char>(Below(256));
        return absl::StrCat("noise of ", count, " in ", where);
      }
      case 6:
      case 7: {  // also of files of other kinds, and shards
        const std::string other_path = AnyFile();
        std::string& other = image_[other_path];
        if (other.size() < size) return "";
        const uint64_t from = Below((other.size() - size) / block + 1) * block;
        if (&other == &bytes && from == begin) return "";
        const std::string kept = bytes.substr(begin, size);
        bytes.replace(begin, size, other, from, size);
        other.replace(from, size, kept);
        return absl::StrCat("block of ", size, " swapped between ", where, " and ", other_path,
                            " at ", from);
      }
      case 8:
      case 9:
        bytes.resize(OneIn(4) ? 0 : at);
        return "truncated " + where;
      case 10:
        bytes.replace(at, bytes.size() - at, bytes.size() - at, '\0');
        return "zeros from there on in " + where;
      case 11:  // one block's last writes have not happened
      case 12: {
        if (original_.earlier().empty()) return "";
        const SimulatedDisk::Image& earlier =
            original_.earlier()[Below(original_.earlier().size())];
        const auto there = earlier.find(path);
        if (there == earlier.end() || there->second.size() < begin + size) return "";
        if (bytes.compare(begin, size, there->second, begin, size) == 0) return "";
        bytes.replace(begin, size, there->second, begin, size);
        return absl::StrCat("an earlier block of ", size, " in ", where);
      }
      default:
        if (!OneIn(3)) return "";
        image_.erase(path);
        return "removed " + path;
    }
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  // Mostly segments: other files are small, or hold nothing that counts.
  std::string AnyFile() {
    while (true) {
      auto at = image_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(Below(image_.size())));
      const std::string name = at->first.substr(at->first.rfind('/') + 1);
      if (wal::ParseSegmentFileName(name) || OneIn(6)) return at->first;
    }
  }

  // Half of the time a record of a log's last epoch, most often one of the last; otherwise
  // anywhere, or in a header.
  uint64_t Place(const std::string& path, uint64_t size) {
    for (const LastRun& run : original_.last_runs()) {
      if (run.records.empty() || OneIn(2)) continue;
      const uint64_t last = run.records.size() - 1;
      const uint64_t back =
          OneIn(3) ? Below(run.records.size()) : Below(std::min<uint64_t>(last + 1, 4));
      const LastRun::Record& record = run.records[last - back];
      if (record.path != path) continue;
      const uint64_t in =
          OneIn(2) ? Below(std::min<uint64_t>(record.bytes, 72)) : Below(record.bytes);
      return std::min(size - 1, record.offset + in);
    }
    return OneIn(4) ? Below(std::min<uint64_t>(size, 128)) : Below(size);
  }

  const Original& original_;
  std::mt19937_64& random_;
  SimulatedDisk::Image& image_;
};

}  // namespace

std::string Damage(const Original& original, std::mt19937_64& random, SimulatedDisk::Image& image) {
  Damager damager(original, random, image);
  std::string what;
  while (what.empty()) what = damager.Once();
  return what;
}

}  // namespace bettong
