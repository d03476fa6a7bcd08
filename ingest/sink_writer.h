// Where one sink writes to. Used by its SinkWorker only, on that worker's thread.
#pragma once

#include <absl/status/statusor.h>
#include <sys/uio.h>

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "ingest/config.h"

namespace bettong::ingest {

// The longest that one Write waits for the other side.
inline constexpr std::chrono::milliseconds kSinkWaitMax{200};

class SinkWriter {
 public:
  struct Outcome {
    size_t bytes = 0;        // written, from the beginning
    absl::Status status;     // why not more; ok with 0 bytes: the other side is slow, try again
    bool hopeless = false;   // it will not get better: the reader of a pipe is gone
    bool line_lost = false;  // a line written in part must be written again from its start
  };

  virtual ~SinkWriter() = default;
  // Writes what goes without waiting long. Lines end with a newline; a part may end inside a line.
  virtual Outcome Write(std::span<const iovec> parts) = 0;
};

// Opens files and checks addresses; connections are made later, and again when they break.
absl::StatusOr<std::unique_ptr<SinkWriter>> OpenSinkWriter(const SinkConfig& config);

// Whether OpenSinkWriter would succeed, as far as can be told without making a file.
absl::Status CheckSinkTarget(const SinkConfig& config);

// A descriptor that the writer closes (unless it is standard output): files, pipes and terminals.
std::unique_ptr<SinkWriter> MakeDescriptorWriter(std::string what, int descriptor, bool owned);
absl::StatusOr<std::unique_ptr<SinkWriter>> MakeTcpWriter(const std::string& address);

}  // namespace bettong::ingest
