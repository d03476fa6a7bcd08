#include "ingest/sink_writer.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ingest/stream_sink_link.h"

namespace bettong::ingest {

namespace {

absl::Status CannotOpen(const std::string& path, int error) {
  return absl::UnavailableError(absl::StrCat("open ", path, ": ", std::strerror(error)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SinkWriter>> OpenSinkWriter(const SinkConfig& config) {
  switch (config.kind) {
    case SinkKind::kStdout:
      return MakeDescriptorWriter("standard output", STDOUT_FILENO, false);
    case SinkKind::kTcp:
      return MakeTcpWriter(config.address);
    case SinkKind::kBettongStream:  // have no lines
    case SinkKind::kKafka:
    case SinkKind::kFile:
      break;
  }
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (config.truncate ? O_TRUNC : 0);
  const int descriptor = ::open(config.path.c_str(), flags, 0644);
  if (descriptor < 0) {
    return CannotOpen(config.path, errno);
  }
  return MakeDescriptorWriter(config.path, descriptor, true);
}

absl::Status CheckSinkTarget(const SinkConfig& config) {
  if (config.kind == SinkKind::kStdout) return absl::OkStatus();
  if (config.kind == SinkKind::kTcp) return MakeTcpWriter(config.address).status();
  if (config.kind == SinkKind::kBettongStream) return StreamSinkLink::Check(config);
  if (config.kind == SinkKind::kKafka) return absl::OkStatus();
  int error = 0;
  struct stat status {};
  if (::stat(config.path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      error = EISDIR;
    } else if (::access(config.path.c_str(), W_OK) != 0) {
      error = errno;
    }
  } else {
    const size_t slash = config.path.rfind('/');
    const std::string folder =
        slash == std::string::npos ? "." : config.path.substr(0, std::max<size_t>(slash, 1));
    if (errno != ENOENT || ::stat(folder.c_str(), &status) != 0) {
      error = errno;
    } else if (!S_ISDIR(status.st_mode)) {
      error = ENOTDIR;
    } else if (::access(folder.c_str(), W_OK | X_OK) != 0) {
      error = errno;
    }
  }
  return error == 0 ? absl::OkStatus() : CannotOpen(config.path, error);
}

}  // namespace bettong::ingest
