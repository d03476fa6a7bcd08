#include "tests/sim/disk_faults.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/simulation.h"

namespace bettong::sim {
namespace {

using Operation = SimulatedDisk::Operation;

const char* NameOf(Operation operation) {
  static constexpr const char* kNames[] = {"open",   "read",   "write", "sync", "truncate", "size",
                                           "rename", "remove", "mkdir", "list", "sync-dir", "lock"};
  static_assert(std::size(kNames) == static_cast<size_t>(Operation::kCount));
  return kNames[static_cast<size_t>(operation)];
}

std::string TextOf(const SimulatedDisk::Call& call) {
  return absl::StrCat(NameOf(call.operation), " ", std::string(call.path));
}

bool Syncs(Operation operation) {
  return operation == Operation::kSync || operation == Operation::kSyncDirectory;
}

}  // namespace

DiskFaults::DiskFaults(Scheduler& scheduler, SimulatedDisk& disk)
    : scheduler_(scheduler), disk_(disk) {
  disk_.set_hook([this](const SimulatedDisk::Call& call) { return OnCall(call); });
}

absl::Status DiskFaults::OnCall(const SimulatedDisk::Call& call) {
  if (calls_ != nullptr) calls_->push_back(TextOf(call));
  if (!failing_ || call.number < failing_->number) return absl::OkStatus();
  if (failing_->syncs_only && !Syncs(call.operation)) return absl::OkStatus();
  const std::string what = TextOf(call);
  if (!struck_) where_ = what;
  struck_ = true;
  const int error = failing_->error == DiskError::kNoSpace ? ENOSPC : EIO;
  if (failing_->once) failing_.reset();
  if (error == ENOSPC) {
    BETTONG_SOMETIMES(no_space_for_a_call);
  } else if (Syncs(call.operation)) {
    BETTONG_SOMETIMES(failed_sync);
  } else if (call.operation == Operation::kRead) {
    BETTONG_SOMETIMES(read_error);
  } else if (call.operation == Operation::kWrite) {
    BETTONG_SOMETIMES(write_error);
  }
  return absl::ErrnoToStatus(error, what);
}

void DiskFaults::Clear() {
  failing_.reset();
  struck_ = false;
  where_.clear();
}

uint64_t DiskFaults::ExtraUs() {
  if (!slow_) return 0;
  BETTONG_SOMETIMES(slow_disk);
  return scheduler_.Below(200'000);
}

void DiskFaults::Flip(const std::string& directory) {
  std::vector<std::string> paths;
  for (const std::string& path : disk_.Files()) {
    if (path.starts_with(directory + "/") && !disk_.Contents(path).empty()) paths.push_back(path);
  }
  if (paths.empty()) return;
  const std::string& path = paths[scheduler_.Below(paths.size())];
  const std::string bytes = disk_.Contents(path);
  // Most of a log is zeros or what was there before: often near the last byte that is not zero.
  size_t end = bytes.size();
  if (scheduler_.OneIn(2)) {
    while (end > 1 && bytes[end - 1] == '\0') --end;
  }
  const size_t begin = scheduler_.OneIn(2) ? end - std::min<size_t>(end, 200) : 0;
  flip_ = {path, (begin + scheduler_.Below(end - begin)) * 8 + scheduler_.Below(8)};
  disk_.FlipBit(flip_->path, flip_->bit);
}

std::string DiskFaults::flip() const {
  return absl::StrCat("bit ", flip_->bit % 8, " of byte ", flip_->bit / 8, " of ", flip_->path);
}

void DiskFaults::Unflip() {
  disk_.FlipBit(flip_->path, flip_->bit);
  flip_.reset();
}

}  // namespace bettong::sim
