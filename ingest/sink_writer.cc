#include "ingest/sink_writer.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace bettong::ingest {

absl::StatusOr<std::unique_ptr<SinkWriter>> OpenSinkWriter(const SinkConfig& config) {
  switch (config.kind) {
    case SinkKind::kStdout:
      return MakeDescriptorWriter("standard output", STDOUT_FILENO, false);
    case SinkKind::kTcp:
      return MakeTcpWriter(config.address);
    case SinkKind::kFile:
      break;
  }
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (config.truncate ? O_TRUNC : 0);
  const int descriptor = ::open(config.path.c_str(), flags, 0644);
  if (descriptor < 0) {
    return absl::UnavailableError(absl::StrCat("open ", config.path, ": ", std::strerror(errno)));
  }
  return MakeDescriptorWriter(config.path, descriptor, true);
}

}  // namespace bettong::ingest
