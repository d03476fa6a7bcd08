// Metrics of the process, by the names that every Prometheus client gives them, and of the node's
// state.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "server/node_metrics.h"

namespace bettong::server {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Pages {
  unsigned long total = 0, resident = 0;
};

Pages ReadPages() {
  Pages pages;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
    if (std::fscanf(file, "%lu %lu", &pages.total, &pages.resident) != 2) pages = {};
    std::fclose(file);
  }
  return pages;
}

uint64_t CountEntries(const char* folder) {
  std::error_code error;
  uint64_t entries = 0;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    ++entries;
  }
  return entries;
}

}  // namespace

void AppendProcessMetrics(const NodeView& node, MetricsText& out) {
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    out.Family(name, kGauge, help);
    out.Sample({}, value);
  };
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const Pages pages = ReadPages();
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const double start_s = static_cast<double>(node.identity->start_time_ms) / 1000;

  out.Family("process_cpu_seconds_total", kCounter, "User and system CPU time spent.");
  out.Sample({}, CpuSeconds());
  gauge("process_resident_memory_bytes", "Resident memory.", pages.resident * page_bytes);
  gauge("process_virtual_memory_bytes", "Virtual memory.", pages.total * page_bytes);
  gauge("process_start_time_seconds", "Start of the process since the epoch.", start_s);
  gauge("process_open_fds", "Open file descriptors.", CountEntries("/proc/self/fd"));
  gauge("process_max_fds", "The most file descriptors that may be open.",
        static_cast<double>(files.rlim_cur));
  gauge("process_threads", "Threads.", CountEntries("/proc/self/task"));

  out.Family("bettong_build_info", kGauge, "1; which build this is.");
  out.Sample({{"version", node.identity->version}}, uint64_t{1});
  gauge("bettong_uptime_seconds", "Since the node was made.",
        std::max(NowSeconds() - start_s, 0.0));
  out.Family("bettong_node_state", kGauge, "1 for the state the node is in, as /readyz says.");
  static constexpr std::pair<NodeState, std::string_view> kStates[] = {
      {NodeState::kStarting, "starting"},
      {NodeState::kRecovering, "recovering"},
      {NodeState::kReady, "ready"},
      {NodeState::kStopping, "stopping"},
  };
  const NodeState now = node.readiness->state();
  for (const auto& [state, name] : kStates) out.Sample({{"state", name}}, uint64_t{now == state});
  gauge("bettong_recovery_ratio", "How much of the recovery at the start is done, 0 to 1.",
        node.readiness->shards_run() ? 1.0 : node.readiness->recovery_fraction());
}

}  // namespace bettong::server
