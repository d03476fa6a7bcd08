#include "wal/segment_pool.h"

#include <algorithm>
#include <utility>

namespace bettong::wal {
namespace {

constexpr uint64_t kZerosBytes = 256 << 10;  // per write

}  // namespace

SegmentPool::SegmentPool(FileSystem& files, std::string directory, uint64_t segment_bytes,
                         size_t spares_max)
    : files_(files),
      directory_(std::move(directory)),
      segment_bytes_(segment_bytes),
      spares_max_(spares_max) {}

absl::Status SegmentPool::Adopt(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!ParseSpareSegmentFileName(name)) continue;
    const std::string path = PathOf(name);
    auto file = files_.Open(path, OpenMode::kRead);
    if (!file.ok()) return file.status();
    const absl::StatusOr<uint64_t> size = (*file)->Size();
    if (!size.ok()) return size.status();
    if (*size == segment_bytes_ && spares_.size() < spares_max_) {
      spares_.push_back(path);
    } else if (absl::Status status = files_.Remove(path); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status SegmentPool::Open(Preparation& preparation, std::string_view name,
                               uint64_t file_bytes) {
  const std::string path = PathOf(name);
  // One may have been left, half prepared. It is written over in place: that needs no new space.
  auto file = files_.OpenDirect(path, OpenMode::kReadWrite);
  if (absl::IsNotFound(file.status())) file = files_.OpenDirect(path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  const absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return size.status();
  if (*size > file_bytes) {
    if (absl::Status status = (*file)->Truncate(file_bytes); !status.ok()) return status;
  }
  preparation = {{path, *std::move(file), file_bytes}, 0};
  return absl::OkStatus();
}

absl::Status SegmentPool::WriteOver(Preparation& preparation, uint64_t bytes_max) {
  const std::string zeros(std::min(kZerosBytes, preparation.ready.file_bytes), '\0');
  const uint64_t end =
      preparation.done + std::min(bytes_max, preparation.ready.file_bytes - preparation.done);
  for (uint64_t at = preparation.done; at < end;) {
    const std::string_view parts[] = {std::string_view(zeros).substr(0, end - at)};
    if (absl::Status status = preparation.ready.file->WriteAt(at, parts); !status.ok()) {
      return status;
    }
    at += parts[0].size();
  }
  if (absl::Status status = preparation.ready.file->Sync(); !status.ok()) {
    // What was to be written may count as clean now: nothing of it is believed.
    preparation.done = 0;
    return status;
  }
  preparation.done = end;
  return absl::OkStatus();
}

absl::Status SegmentPool::Prepare(uint64_t bytes_max) {
  if (ready()) return absl::OkStatus();
  if (next_.ready.file == nullptr && !spares_.empty()) {
    auto file = files_.OpenDirect(spares_.back(), OpenMode::kReadWrite);
    if (!file.ok()) return file.status();
    next_ = {{spares_.back(), *std::move(file), segment_bytes_}, segment_bytes_};
    spares_.pop_back();
    return absl::OkStatus();
  }
  if (next_.ready.file == nullptr) {
    if (absl::Status status = Open(next_, kNextSegmentName, segment_bytes_); !status.ok()) {
      return status;
    }
  }
  return WriteOver(next_, bytes_max);
}

absl::StatusOr<SegmentPool::ReadyFile> SegmentPool::MakeLarge(uint64_t file_bytes) {
  Preparation large;
  if (absl::Status status = Open(large, kLargeSegmentName, file_bytes); !status.ok()) return status;
  if (absl::Status status = WriteOver(large, file_bytes); !status.ok()) {
    // It may never be wanted again, and a full disk has better uses for its space.
    if (absl::IsResourceExhausted(status)) large.ready.file->Truncate(0).IgnoreError();
    return status;
  }
  return std::move(large.ready);
}

absl::Status SegmentPool::Retire(SegmentNumber number) {
  const std::string path = PathOf(SegmentFileName(number));
  bool keep = spares_.size() < spares_max_;
  if (keep) {
    auto file = files_.Open(path, OpenMode::kRead);
    if (!file.ok()) return file.status();
    const absl::StatusOr<uint64_t> size = (*file)->Size();
    if (!size.ok()) return size.status();
    keep = *size == segment_bytes_;
  }
  const std::string spare = PathOf(SpareSegmentFileName(number));
  absl::Status status = keep ? files_.Rename(path, spare) : files_.Remove(path);
  if (!status.ok()) return status;
  // Before the next one goes, or this one is written over: else a crash might bring it back, behind
  // a gap or with another segment's header.
  status = files_.SyncDirectory(directory_);
  // It is gone, only not durably: not to be tried again, whatever the error.
  if (absl::IsResourceExhausted(status)) return absl::InternalError(status.message());
  if (!status.ok()) return status;
  if (keep) spares_.push_back(spare);
  return absl::OkStatus();
}

}  // namespace bettong::wal
