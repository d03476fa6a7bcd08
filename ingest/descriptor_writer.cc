// The writer for files, pipes and terminals.

#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>

#include "ingest/sink_writer.h"

namespace bettong::ingest {
namespace {

class DescriptorWriter : public SinkWriter {
 public:
  DescriptorWriter(std::string what, int descriptor, bool owned)
      : what_(std::move(what)), descriptor_(descriptor), owned_(owned) {
    struct stat status {};
    is_file_ = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  }
  ~DescriptorWriter() override {
    if (owned_) ::close(descriptor_);
  }

  Outcome Write(std::span<const iovec> parts) override {
    ssize_t size = 0;
    if (is_file_) {
      size = ::writev(descriptor_, parts.data(), static_cast<int>(parts.size()));
    } else {
      // A pipe's reader may be slow: write only what is sure not to block, whole lines if possible.
      pollfd ready{descriptor_, POLLOUT, 0};
      const int count = ::poll(&ready, 1, static_cast<int>(kSinkWaitMax.count()));
      if (count == 0) return {};
      size = ::write(descriptor_, parts[0].iov_base, WholeLines(parts[0]));
    }
    if (size >= 0) return {.bytes = static_cast<size_t>(size)};
    const int error = errno;
    if (error == EINTR || error == EAGAIN) return {};
    return {
        .status = absl::UnavailableError(absl::StrCat("write ", what_, ": ", std::strerror(error))),
        .hopeless = error == EPIPE};
  }

 private:
  static size_t WholeLines(const iovec& part) {
    const std::string_view text(static_cast<const char*>(part.iov_base), part.iov_len);
    if (text.size() <= PIPE_BUF) return text.size();
    const size_t newline = text.rfind('\n', PIPE_BUF - 1);
    return newline == std::string_view::npos ? PIPE_BUF : newline + 1;
  }

  const std::string what_;
  const int descriptor_;
  const bool owned_;
  bool is_file_ = false;
};

}  // namespace

std::unique_ptr<SinkWriter> MakeDescriptorWriter(std::string what, int descriptor, bool owned) {
  return std::make_unique<DescriptorWriter>(std::move(what), descriptor, owned);
}

}  // namespace bettong::ingest
