#include "server/top.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <set>
#include <thread>

#include "base/host_port.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/http_get.h"

namespace bettong::server {
namespace {

constexpr std::chrono::milliseconds kAnswerLimit{5000};

std::string Fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", decimals, value);
  return text;
}

std::string Percent(double ratio) { return Fixed(ratio * 100, 0) + "%"; }

// "1,234,567".
std::string Count(double value) {
  std::string digits = Fixed(std::max(value, 0.0), 0);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string Bytes(double value) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  return Fixed(value, unit == 0 ? 0 : 1) + " " + kUnits[unit];
}

std::string Duration(std::optional<double> seconds) {
  if (!seconds) return "-";
  if (*seconds < 1e-3) return Fixed(*seconds * 1e6, 1) + " us";
  if (*seconds < 1) return Fixed(*seconds * 1e3, 1) + " ms";
  return Fixed(*seconds, 1) + " s";
}

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string PaddedLeft(const std::string& text, size_t width) {
  return std::string(width - std::min(text.size(), width), ' ') + text;
}

class Screen {
 public:
  Screen(const MetricsPage& before, const MetricsPage& after)
      : before_(before),
        after_(after),
        seconds_(after.Sum("bettong_uptime_seconds") - before.Sum("bettong_uptime_seconds")) {}

  std::string Show(const std::string& where) {
    Head(where);
    if (after_.samples("bettong_shard_up").empty()) return text_;
    if (seconds_ <= 0) {
      text_ += "the node was started anew between the two looks\n";
      return text_;
    }
    Rates();
    Latencies();
    State();
    for (const std::string& name : Names("bettong_source_bytes_total", "source")) Source(name);
    for (const std::string& name : Names("bettong_sink_pending_bytes", "sink")) Sink(name);
    return text_;
  }

 private:
  using Labels = std::initializer_list<MetricsPage::Label>;

  double Rate(std::string_view name, Labels labels = {}) const {
    return std::max(after_.Sum(name, labels) - before_.Sum(name, labels), 0.0) / seconds_;
  }

  std::string StateName(std::string_view name, Labels labels = {}) const {
    for (const MetricsPage::Sample& sample : after_.samples(name)) {
      const bool meant = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
        return sample.label(label.first) == label.second;
      });
      if (meant && sample.value == 1) return std::string(sample.label("state"));
    }
    return "?";
  }

  std::set<std::string> Names(std::string_view metric, std::string_view label) const {
    std::set<std::string> names;
    for (const MetricsPage::Sample& sample : after_.samples(metric)) {
      names.emplace(sample.label(label));
    }
    return names;
  }

  void Head(const std::string& where) {
    std::string state = StateName("bettong_node_state");
    if (state == "recovering") {
      absl::StrAppend(&state, " ", Percent(after_.Sum("bettong_recovery_ratio")));
    }
    absl::StrAppend(&text_, "bettong at ", where, ": ", state, ", up ",
                    Count(after_.Sum("bettong_uptime_seconds")), " s");
    if (seconds_ > 0) {
      absl::StrAppend(&text_, ", CPU ", Percent(Rate("process_cpu_seconds_total")));
    }
    absl::StrAppend(&text_, ", resident ", Bytes(after_.Sum("process_resident_memory_bytes")),
                    "\n");
    std::string silent;
    for (const MetricsPage::Sample& sample : after_.samples("bettong_shard_up")) {
      if (sample.value == 0) absl::StrAppend(&silent, " ", std::string(sample.label("shard")));
    }
    if (!silent.empty()) absl::StrAppend(&text_, "NO ANSWER from shard", silent, "\n");
  }

  void Rates() {
    const auto rate = [&](const char* what, std::string_view name) {
      absl::StrAppend(&text_, Padded(what, 16), PaddedLeft(Count(Rate(name)), 14), "   in all ",
                      Count(after_.Sum(name)), "\n");
    };
    rate("events/s", "bettong_events_admitted_total");
    rate("commands/s", "bettong_commands_total");
    rate("outputs/s", "bettong_outputs_total");
    rate("dead letters/s", "bettong_dead_letters_total");
    rate("failed turns/s", "bettong_turns_failed_total");
  }

  void Latencies() {
    const auto latency = [&](const char* what, const std::string& name) {
      const auto quantile = [&](double q) {
        return PaddedLeft(Duration(QuantileBetween(before_, after_, name, q)), 12);
      };
      absl::StrAppend(&text_, Padded(what, 16), "p50", quantile(0.5), "   p99", quantile(0.99),
                      "\n");
    };
    latency("event latency", "bettong_event_latency_seconds");
    latency("handler", "bettong_handler_latency_seconds");
    latency("expiry lag", "bettong_expiry_lag_seconds");
  }

  void State() {
    absl::StrAppend(&text_, Padded("keys", 16), Count(after_.Sum("bettong_keys")), ", with a TTL ",
                    Count(after_.Sum("bettong_keys_with_deadline")), "\n");
    for (const std::string& name : Names("bettong_entities", "class")) {
      absl::StrAppend(&text_, Padded("  " + name, 16),
                      Count(after_.Sum("bettong_entities", {{"class", name}})), "\n");
    }
    absl::StrAppend(&text_, Padded("memory", 16), Bytes(after_.Sum("bettong_memory_used_bytes")),
                    after_.Sum("bettong_over_memory") > 0 ? ", over maxmemory" : "", "\n");
    absl::StrAppend(&text_, Padded("connections", 16), Count(after_.Sum("bettong_connections")),
                    "\n");
    if (!after_.samples("bettong_lane_queue_turns").empty()) {
      absl::StrAppend(&text_, Padded("lane", 16), "busy ",
                      Percent(Rate("bettong_lane_busy_seconds_total")), ", queue ",
                      Count(after_.Sum("bettong_lane_queue_turns")), " turns\n");
    }
  }

  void Source(const std::string& name) {
    const Labels labels = {{"source", name}};
    absl::StrAppend(&text_, Padded("source " + name, 16),
                    Count(Rate("bettong_source_events_total", labels)), " events/s, ",
                    Bytes(Rate("bettong_source_bytes_total", labels)), "/s, connections ",
                    Count(after_.Sum("bettong_source_connections", labels)), ", ");
    absl::StrAppend(&text_, "outstanding ",
                    Count(after_.Sum("bettong_source_outstanding_events", labels)), ", paused ",
                    Percent(Rate("bettong_source_paused_seconds_total", labels)), ", ");
    absl::StrAppend(&text_, "admission ", StateName("bettong_source_admission", labels),
                    ", dead letters ",
                    Count(after_.Sum("bettong_source_dead_letters_total", labels)), "\n");
  }

  void Sink(const std::string& name) {
    const Labels labels = {{"sink", name}};
    absl::StrAppend(&text_, Padded("sink " + name, 16),
                    Bytes(Rate("bettong_sink_written_bytes_total", labels)), "/s, waiting ",
                    Bytes(after_.Sum("bettong_sink_pending_bytes", labels)), "\n");
  }

  const MetricsPage& before_;
  const MetricsPage& after_;
  const double seconds_;
  std::string text_;
};

absl::StatusOr<MetricsPage> Look(const HostPort& server, const std::string& where) {
  auto text = HttpGet(server, "/metrics", kAnswerLimit);
  if (!text.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "top: get http://", where, "/metrics: ", text.status().message(),
        "; is a node running there? Its ready line says where it answers (http=HOST:PORT): give "
        "that with --http"));
  }
  auto page = MetricsPage::Parse(*text);
  if (page.ok() && !page->samples("bettong_uptime_seconds").empty()) return page;
  return absl::UnavailableError(
      absl::StrCat("top: http://", where, "/metrics is no page of a Bettong node",
                   page.ok() ? "" : absl::StrCat(" (", page.status().message(), ")"),
                   "; give the address of its HTTP port with --http"));
}

}  // namespace

std::string TopScreen(const std::string& where, const MetricsPage& before,
                      const MetricsPage& after) {
  return Screen(before, after).Show(where);
}

int Top(const TopArguments& arguments) {
  auto server = ParseHostPort(arguments.http);
  if (!server.ok()) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        "top: --http ", arguments.http, ": ", server.status().message(), "; it is HOST:PORT")));
  }
  const bool terminal = isatty(STDOUT_FILENO) == 1 && !arguments.once;
  auto before = Look(*server, arguments.http);
  while (before.ok()) {
    std::this_thread::sleep_for(std::chrono::duration<double>(arguments.interval_s));
    auto after = Look(*server, arguments.http);
    if (!after.ok()) return Fail(after.status());
    std::printf("%s%s%s", terminal ? "\033[H\033[J" : "",
                TopScreen(arguments.http, *before, *after).c_str(),
                terminal || arguments.once ? "" : "\n");
    if (std::fflush(stdout) != 0) {
      return Fail(absl::UnavailableError("top: write to standard output failed"));
    }
    if (arguments.once) return kExitOk;
    before = std::move(after);
  }
  return Fail(before.status());
}

}  // namespace bettong::server
