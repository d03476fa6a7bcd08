// A file that takes every output once, whatever crashes: what is in it (bytes, and the last output
// of each partition) is the sink's endpoint state, which the node's log keeps. A file that has more
// than the state says is cut; outputs that are in it already are passed over.
//
// Blocking; used by one thread, or by the simulator.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "ingest/sink_chunk.h"

namespace bettong::ingest {

struct FileOutputState {
  std::string path;
  uint64_t bytes = 0;               // of the file, all of them on disk
  std::vector<uint64_t> sequences;  // by partition: the last output in the file; 0: none

  std::string Encode() const;
  static std::optional<FileOutputState> Decode(std::string_view bytes);
};

class FileOutput {
 public:
  // Opens or makes the file. With a state of this path, cuts it to what that says; otherwise
  // (nothing is known of the file) goes on at its end, or, with `truncate`, at its beginning.
  // `note` is told what an operator should know.
  static absl::StatusOr<std::unique_ptr<FileOutput>> Open(
      FileSystem& files, const std::string& path, bool truncate,
      const std::optional<FileOutputState>& state, std::string& note);

  // Appends the chunks' outputs that are not in the file yet. Readers of the file see them; whether
  // a crash leaves them there, Sync decides.
  absl::Status Append(std::span<SinkChunk* const> chunks);
  // Everything appended is on disk, and state() says so.
  absl::Status Sync();
  // After an error of either nothing is known of what has been appended since the last Sync: all of
  // it is to be given again, and is written in the same place.

  const FileOutputState& state() const { return synced_; }

 private:
  FileOutput(std::unique_ptr<File> file, FileOutputState state)
      : file_(std::move(file)), synced_(std::move(state)), appended_(synced_) {}

  std::unique_ptr<File> file_;
  FileOutputState synced_;
  FileOutputState appended_;
  std::vector<std::string_view> parts_;
};

}  // namespace bettong::ingest
