#include "server/recovery_progress.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

#include "base/log.h"

namespace bettong::server {
namespace {

constexpr std::chrono::milliseconds kShowEvery{200};
constexpr int kBarWidth = 30;

}  // namespace

RecoveryProgress::RecoveryProgress()
    : on_terminal_(isatty(STDERR_FILENO) != 0), begin_(Clock::now()), shown_(begin_) {}

void RecoveryProgress::Show(const wal::HistoryProgress& at) {
  const Clock::time_point now = Clock::now();
  if (!on_terminal_ || at.bytes_total == 0 || now - shown_ < kShowEvery) return;
  shown_ = now;
  visible_ = true;
  const auto done = static_cast<int>(at.bytes_done * kBarWidth / at.bytes_total);
  const std::string bar = std::string(static_cast<size_t>(done), '=') +
                          std::string(static_cast<size_t>(kBarWidth - done), ' ');
  std::fprintf(stderr, "\rrecovering [%s] %3d%% of %llu MB", bar.c_str(),
               static_cast<int>(at.bytes_done * 100 / at.bytes_total),
               static_cast<unsigned long long>(at.bytes_total >> 20));
  std::fflush(stderr);
}

void RecoveryProgress::Clear() {
  if (std::exchange(visible_, false)) std::fprintf(stderr, "\r\033[K");
}

void RecoveryProgress::Report(std::span<grid::Shard* const> shards, uint64_t log_bytes) const {
  size_t keys = 0, entities = 0;
  for (const grid::Shard* shard : shards) {
    keys += shard->key_count();
    entities += shard->entity_count();
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  LogInfo("log", absl::StrFormat("recovered %d keys (%d entities) from %d bytes of log in %.2f s",
                                 keys, entities, log_bytes, seconds));
}

}  // namespace bettong::server
