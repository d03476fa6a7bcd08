#include "ingest/block_reader.h"

#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace bettong::ingest {

BlockReader::BlockReader(std::string what, int descriptor)
    : what_(std::move(what)), descriptor_(descriptor), stop_event_(::eventfd(0, EFD_CLOEXEC)) {
  BETTONG_CHECK(stop_event_ >= 0);
}

BlockReader::~BlockReader() {
  Stop();
  if (thread_.joinable()) thread_.join();
  ::close(stop_event_);
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

void BlockReader::Start(std::function<void(InputBlock*)> ready) {
  ready_ = std::move(ready);
  sigset_t all;  // signals are the main thread's
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void BlockReader::Stop() {
  if (stop_.exchange(true)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(stop_event_, &one, sizeof(one));
  free_.release();  // in case it waits for a block
}

void BlockReader::Run() {
  for (size_t turn = 0;; turn = (turn + 1) % kBlocksAhead) {
    free_.acquire();
    InputBlock& block = stop_.load() ? end_ : blocks_[turn];
    Fill(block);
    const bool last = block.last;
    ready_(&block);
    if (last) return;
  }
}

void BlockReader::Fill(InputBlock& block) {
  block.size = 0;
  block.last = true;
  block.status = absl::OkStatus();
  while (!stop_.load()) {
    pollfd waits[] = {{descriptor_, POLLIN, 0}, {stop_event_, POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0 && errno == EINTR) continue;
    if (waits[1].revents != 0) return;
    if (block.bytes == nullptr) block.bytes = std::make_unique_for_overwrite<char[]>(kBlockBytes);
    const ssize_t size = ::read(descriptor_, block.bytes.get(), kBlockBytes);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) {
      block.status =
          absl::UnavailableError(absl::StrCat("read ", what_, ": ", std::strerror(errno)));
    } else {
      block.size = static_cast<size_t>(size);
      block.last = size == 0;
    }
    return;
  }
}

}  // namespace bettong::ingest
