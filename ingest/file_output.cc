#include "ingest/file_output.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"

namespace bettong::ingest {
namespace {

constexpr uint8_t kStateVersion = 1;
constexpr size_t kPartitionsMax = 1u << 16;

}  // namespace

std::string FileOutputState::Encode() const {
  std::string encoded;
  ByteWriter out(encoded);
  out.Fixed(kStateVersion);
  out.Bytes(path);
  out.Fixed(bytes);
  out.Varint(sequences.size());
  for (uint64_t sequence : sequences) out.Varint(sequence);
  return encoded;
}

std::optional<FileOutputState> FileOutputState::Decode(std::string_view encoded) {
  ByteReader in(encoded);
  if (in.Fixed<uint8_t>() != kStateVersion) return std::nullopt;
  FileOutputState state;
  state.path = in.Bytes();
  state.bytes = in.Fixed<uint64_t>();
  const uint64_t count = in.Varint();
  if (count > kPartitionsMax) return std::nullopt;
  for (uint64_t i = 0; i < count; ++i) state.sequences.push_back(in.Varint());
  if (!in.ok() || !in.empty()) return std::nullopt;
  return state;
}

absl::StatusOr<std::unique_ptr<FileOutput>> FileOutput::Open(
    FileSystem& files, const std::string& path, bool truncate,
    const std::optional<FileOutputState>& state, std::string& note) {
  auto opened = files.Open(path, OpenMode::kReadWrite);
  if (absl::IsNotFound(opened.status())) opened = files.Open(path, OpenMode::kCreate);
  if (!opened.ok()) return opened.status();
  std::unique_ptr<File> file = *std::move(opened);
  // Also of a file that is there: whoever made it may have come no further than that.
  const absl::Status synced = files.SyncDirectory(ParentDirectory(path));
  if (!synced.ok()) return synced;
  const absl::StatusOr<uint64_t> size = file->Size();
  if (!size.ok()) return size.status();

  FileOutputState at;
  if (state) at = *state;
  const bool known = state && state->path == path;
  if (!known) at.bytes = truncate ? 0 : *size;
  at.path = path;
  if (*size < at.bytes) {
    note = absl::StrCat(path, " has ", *size, " bytes, not the ", at.bytes,
                        " that have been written to it; going on at its end");
    at.bytes = *size;
  }
  if (*size > at.bytes) {
    absl::Status status = file->Truncate(at.bytes);
    if (status.ok()) status = file->Sync();
    if (!status.ok()) return status;
    if (known) {
      note = absl::StrCat(path, ": cut from ", *size, " to ", at.bytes,
                          " bytes; what was behind is written again");
    }
  }
  return std::unique_ptr<FileOutput>(new FileOutput(std::move(file), std::move(at)));
}

absl::Status FileOutput::Append(std::span<SinkChunk* const> chunks) {
  parts_.clear();
  const uint64_t begin = appended_.bytes;
  for (const SinkChunk* chunk : chunks) {
    for (size_t i = 0; i < chunk->items.size(); ++i) {
      const SinkChunk::Item& item = chunk->items[i];
      const size_t partition = item.partition.value();
      if (partition >= appended_.sequences.size()) appended_.sequences.resize(partition + 1);
      if (item.sequence <= appended_.sequences[partition]) continue;
      appended_.sequences[partition] = item.sequence;
      const std::string_view line = chunk->line(i);
      appended_.bytes += line.size();
      // Lines that lie behind each other go out as one.
      if (!parts_.empty() && parts_.back().data() + parts_.back().size() == line.data()) {
        parts_.back() = {parts_.back().data(), parts_.back().size() + line.size()};
      } else {
        parts_.push_back(line);
      }
    }
  }
  if (parts_.empty()) return absl::OkStatus();
  absl::Status status = file_->WriteAt(begin, parts_);
  if (!status.ok()) appended_ = synced_;
  return status;
}

absl::Status FileOutput::Sync() {
  absl::Status status = file_->Sync();
  if (status.ok()) {
    synced_ = appended_;
  } else {
    appended_ = synced_;
  }
  return status;
}

}  // namespace bettong::ingest
